"""Emissions on real servers, killed on the way: each that was answered counts exactly once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import pytest

from tests.e2e.submitters import Amount, Submitters, amounts, totals
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(4800)]
SERVICES = "postgres,kafka,jobmanager,taskmanager,starrocks,manager"
KILLED = ("manager", "taskmanager", "kafka")
RESTART_S = 300.0


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(SERVICES, {"EMDATA_STREAMS": "push-api"}) as running:
        yield running


def aggregated(platform: Platform) -> dict[str, tuple[Decimal, int]]:
    """Totals and counts by organization; all months of a run that may pass midnight together."""
    rows = platform.sql(
        "SELECT organization_id, month, total, emission_count FROM raw_data.aggregated_emission"
    )
    found: dict[str, tuple[Decimal, int]] = {}
    for row in rows:
        assert isinstance(row["month"], date)
        assert row["month"].day == 1
        total, count = found.get(row["organization_id"], (Decimal(0), 0))
        found[row["organization_id"]] = (total + row["total"], count + row["emission_count"])
    return found


def recounted(platform: Platform) -> dict[str, Any]:
    """Keys and rows that landed."""
    (row,) = platform.sql(
        "SELECT COUNT(*) AS row_count, COUNT(DISTINCT record_key) AS key_count "
        "FROM raw_data.emission"
    )
    return row


def kill_on_the_way(platform: Platform, submitters: Submitters, rounds: int) -> None:
    """Kill one server after the other, each at a moment of its own in its part of the posts."""
    random = Random(rounds)
    kills = KILLED * rounds
    for number, service in enumerate(kills):
        share = (number + random.uniform(0.2, 0.8)) / len(kills)
        wait_for(
            partial(submitters.has_done, share), 1800, f"{share:.0%} of the posts", interval=0.02
        )
        assert not submitters.failures, submitters.failures
        old = platform.kill(service)
        platform.wait_restarted(service, old, RESTART_S)


@pytest.mark.parametrize(
    ("count", "rounds"), [(3_000, 1), pytest.param(100_000, 3, marks=pytest.mark.long)]
)
def test_fault_54_totals_are_exact_though_manager_taskmanager_and_broker_are_killed(
    platform: Platform, count: int, rounds: int
) -> None:
    before = {name: (total, n) for name, (total, n) in aggregated(platform).items()}
    posted = amounts(count, seed=count)
    submitters = Submitters(platform, posted)
    began = time.monotonic()
    threads = submitters.start()
    kill_on_the_way(platform, submitters, rounds)
    for thread in threads:
        thread.join()
    assert not submitters.failures, submitters.failures
    assert submitters.acknowledged == count
    posting_s = time.monotonic() - began
    expected = added(before, posted)
    wait_exact(platform, expected)
    keys = sum(n for _, n in expected.values())
    landed = wait_for(
        lambda: (rows := recounted(platform))["key_count"] >= keys and rows, 180, f"{keys} keys"
    )
    assert landed["key_count"] == keys
    print(
        json.dumps(
            {
                "emissions": count,
                "posts": submitters.posted,
                "posts without an answer of 200": submitters.lost,
                "kills": len(KILLED) * rounds,
                "seconds of posting": round(posting_s, 1),
                "seconds until exact": round(time.monotonic() - began - posting_s, 1),
                "rows landed": landed["row_count"],
                "keys landed": landed["key_count"],
                "organizations": len(expected),
            }
        )
    )


def added(
    before: dict[str, tuple[Decimal, int]], posted: list[Amount]
) -> dict[str, tuple[Decimal, int]]:
    """What must be there after these posts."""
    found = dict(before)
    for name, (total, count) in totals(posted).items():
        old_total, old_count = found.get(name, (Decimal(0), 0))
        found[name] = (old_total + total, old_count + count)
    return found


def wait_exact(platform: Platform, expected: dict[str, tuple[Decimal, int]]) -> None:
    """Wait until totals and counts are those, to the last digit."""
    try:
        wait_for(lambda: aggregated(platform) == expected, 180, "totals to be exact", interval=0.5)
    except AssertionError as error:
        found = aggregated(platform)
        wrong = {n: (expected.get(n), found.get(n)) for n in {*expected, *found}
                 if expected.get(n) != found.get(n)}  # fmt: skip
        raise AssertionError(f"(expected, found): {wrong}; {recounted(platform)}") from error
    assert aggregated(platform) == expected, "and stay so"
