"""Rules that hold for all tests: system programs, hypothesis profiles; the state of a platform."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.programs import find_program

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.support.platform import Platform

# No deadlines: the machine is shared with servers that other tests start.
_QUIET = (HealthCheck.too_slow,)
settings.register_profile("fast", deadline=None, max_examples=50, suppress_health_check=_QUIET)
settings.register_profile("long", deadline=None, max_examples=2000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected and imported stays: to look through it for garbage takes a sixth more."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing program is a loud skip on a developer's machine and a failure in CI."""
    for marker in item.iter_markers("system"):
        programs = marker.args
        if not programs:
            pytest.fail("mark the program that is needed: @pytest.mark.system('chromium')")
        missing = [program for program in programs if find_program(program) is None]
        if missing:
            reason = f"{', '.join(missing)} not found: run `make test-system-deps`"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.fixture(scope="module")
def engine(platform: Platform) -> Iterator[Engine]:
    """The state of a module's ``platform``, with its newest schema."""
    from emdata.state import connect, upgrade
    from runtime.tasks import state_dsn

    dsn = state_dsn(platform.context)
    upgrade(dsn)
    made = connect(dsn)
    yield made
    made.dispose()
