"""The sensor that records landings."""

from dagster import (
    DefaultSensorStatus,
    ResourceParam,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from emdata.errors import StateUnavailable
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.landing.events import landing_events, read_marks
from emergency_pipeline.ledger import read_positions
from emergency_pipeline.site import RAW_DATABASE, Site


@sensor(
    minimum_interval_seconds=45,
    default_status=DefaultSensorStatus.RUNNING,
    description="Records rows that landed as materializations of their tables.",
)
def landing_sensor(
    context: SensorEvaluationContext, site: ResourceParam[Site], catalog: ResourceParam[Catalog]
) -> SensorResult | SkipReason:
    """Report tables that changed since the last tick."""
    try:
        positions = read_positions(site.state)
    except StateUnavailable as error:
        return SkipReason(f"PostgreSQL is away; landings are recorded when it is back: {error}")
    events, cursor = landing_events(positions, read_marks(context.cursor), catalog)
    if not events:
        return SkipReason("nothing has landed since the last tick")
    # A tick without a run counts as skipped; the reason says that it was not in vain.
    tables = [
        event.asset_key.path[-1] for event in events if event.asset_key.path[0] == RAW_DATABASE
    ]
    recorded = SkipReason(f"no run needed: recorded landings in {', '.join(tables)}")
    return SensorResult(asset_events=events, cursor=cursor, skip_reason=recorded)
