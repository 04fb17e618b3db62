"""One platform for all live tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emdata.state.database import connect
from runtime.tasks import state_dsn
from tests.api.access.live import World, populate
from tests.support.platform import running_platform

SETTINGS = {"EMDATA_API_SIGN_UPS_PER_NETWORK": "2", "EMDATA_API_LIMITS": "off"}


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """PostgreSQL, StarRocks and the API, with callers of every kind."""
    with running_platform("postgres,starrocks,api", SETTINGS) as platform:
        engine = connect(state_dsn(platform.context))
        made = World(platform, engine)
        populate(made)
        yield made
        engine.dispose()
