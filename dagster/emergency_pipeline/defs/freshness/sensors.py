"""The freshness sensor and the same checks on request."""

from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    AssetKey,
    DefaultSensorStatus,
    ResourceParam,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    multi_asset_check,
    sensor,
)

from emdata.clock import SystemClock
from emdata.errors import StateUnavailable
from emdata.state.freshness import StreamFreshness, freshness
from emergency_pipeline.catalog import Catalog
from emergency_pipeline.defs.freshness.events import (
    checked_assets,
    evaluation,
    freshness_events,
    read_states,
)
from emergency_pipeline.keys import FRESHNESS_CHECK
from emergency_pipeline.site import Site


def find_freshness(site: Site, catalog: Catalog) -> list[StreamFreshness]:
    """Ask the state for every stream's freshness now."""
    return freshness(site.state, catalog.records, SystemClock().now())


@sensor(
    minimum_interval_seconds=300,
    default_status=DefaultSensorStatus.RUNNING,
    description="Holds three clocks per stream against its contract: poll, newest event, landing.",
)
def data_freshness_sensor(
    context: SensorEvaluationContext, site: ResourceParam[Site], catalog: ResourceParam[Catalog]
) -> SensorResult | SkipReason:
    """Evaluate the freshness checks; report each change of state as an observation."""
    try:
        found = find_freshness(site, catalog)
    except StateUnavailable as error:
        return SkipReason(f"PostgreSQL is away, so freshness is unknown: {error}")
    events, cursor = freshness_events(found, read_states(context.cursor), catalog)
    if not events:
        return SkipReason("the stream manager has not registered its streams yet")
    # A tick without a run counts as skipped; the reason says what was found.
    states = ", ".join(f"{item.stream} {item.state}" for item in found)
    recorded = SkipReason(f"no run needed: {states}")
    return SensorResult(asset_events=events, cursor=cursor, skip_reason=recorded)


def freshness_checks(catalog: Catalog) -> AssetChecksDefinition:
    """Return one definition with the freshness check of every source and landed table."""
    assets: dict[AssetKey, None] = {}
    for stream in catalog.streams:
        assets.update(dict.fromkeys(checked_assets(stream)))

    @multi_asset_check(
        name="freshness_of_sources",
        specs=[
            AssetCheckSpec(
                FRESHNESS_CHECK,
                asset=key,
                description="fresh, quiet or off pass; late, upstream stale and broken fail.",
            )
            for key in assets
        ],
        can_subset=False,
    )
    def checks(
        site: ResourceParam[Site], catalog: ResourceParam[Catalog]
    ) -> Iterator[AssetCheckResult]:
        by_stream = {item.stream: item for item in find_freshness(site, catalog)}
        done: set[AssetKey] = set()
        for stream in catalog.streams:
            for key in set(checked_assets(stream)) - done:
                done.add(key)
                yield _result(key, by_stream.get(stream.name))

    return checks


def _result(key: AssetKey, item: StreamFreshness | None) -> AssetCheckResult:
    if item is None:
        return AssetCheckResult(
            asset_key=key,
            check_name=FRESHNESS_CHECK,
            passed=False,
            description="the stream manager has not registered this stream",
        )
    found = evaluation(key, item)
    return AssetCheckResult(
        asset_key=key,
        check_name=FRESHNESS_CHECK,
        passed=found.passed,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
    )
