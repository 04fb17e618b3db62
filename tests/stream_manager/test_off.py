"""A stream that cannot run is known as off, and on again when it can."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from emdata.clock import ManualClock
from emdata.contracts import contracts
from emdata.state import connect
from emdata.state.freshness import freshness
from emdata.state.reads import register_streams, streams_of_others, streams_switched_off
from runtime.tasks import state_dsn
from stream_manager.off import OffStream, register_off
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
CLOCK = ManualClock(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
STREAM = OffStream("fires", "made", ("nasa_firms_fire_detections",), 900.0, "no key")


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(only="postgres") as running:
        yield running


async def test_a_stream_without_its_key_is_off_until_it_has_one(platform: Platform) -> None:
    dsn = state_dsn(platform.context)
    engine = connect(dsn)
    try:
        await register_off(dsn, 1, [STREAM], CLOCK)
        await register_off(dsn, 1, [STREAM], CLOCK)
        assert streams_switched_off(engine) == {"fires"}
        assert streams_of_others(engine, 2) == set()
        (found,) = freshness(engine, contracts(), CLOCK.now())
        assert (found.stream, found.state) == ("fires", "off")
        register_streams(engine, [{**STREAM.registration(1, CLOCK), "is_on": True}])
        assert streams_switched_off(engine) == set()
    finally:
        engine.dispose()
