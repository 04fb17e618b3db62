"""The ledger: an independent witness that equals what a plain client received."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.clock import ManualClock
from emdata.errors import ServiceError
from simulator import client
from simulator.answers import Fact, fingerprint
from simulator.ledger import Ledger
from tests.simulator.running import Served, Simulator, simulator
from tests.support.waiting import wait_for

FEMA = "www.fema.gov/api/open/v2/DisasterDeclarationsSummaries"
NWS = "api.weather.gov/alerts/active"
COAGMET = "coagmet.colostate.edu/data/hourly.json"
USDM = "usdmdataservices.unl.edu/api/CountyStatistics/GetDroughtSeverityStatisticsByAreaPercent"
Seen = dict[str, dict[str, list[Any]]]


def collect(world: Simulator, seen: Seen) -> None:
    """Poll everything once and note each key's content when it differs from the last one."""

    def note(dataset: str, key: str, content: Any) -> None:
        versions = seen[dataset].setdefault(key, [])
        if not versions or versions[-1] != content:
            versions.append(content)

    page = world.get(FEMA, {"$filter": "state eq 'CO'", "$top": 10_000, "$orderby": "id"}).json()
    for row in page["DisasterDeclarationsSummaries"]:
        content = {k: v for k, v in row.items() if k not in ("lastRefresh", "id", "hash")}
        note("fema_disaster_declarations", f"{row['disasterNumber']}|{row['placeCode']}", content)
    for made in world.get(NWS).json()["features"]:
        note("nws_alerts", made["properties"]["id"], made)
    answer = world.get(COAGMET, {"units": "m", "tz": "utc", "span": "1"}).json()
    for station in answer["stations"]:
        for i, hour in enumerate(answer["time"]):
            values = [column[i] for column in answer[station].values()]
            note("coagmet_hourly_observations", f"{station}|{hour}:00.000000", values)
    asked = {"aoi": "CO", "startdate": "12/1/2025", "enddate": "3/1/2026", "statisticsType": "1"}
    text = world.get(USDM, asked).body.decode("utf-8-sig")
    for line in csv.DictReader(io.StringIO(text)):
        day = re.sub(r"(\d{4})(\d{2})(\d{2})", r"\1-\2-\3", line["MapDate"])
        note("usda_drought_counties", f"{line['FIPS']}|{day}|1", line)


def test_ledger_equals_what_a_plain_client_collected(world: Simulator) -> None:
    """Time stands still during each round of polls, so both see exactly the same versions."""
    world.post("clock", {"freeze": True})
    seen: Seen = defaultdict(dict)
    for step in range(2):
        collect(world, seen)
        world.mutate(fema="change_one")
        world.mutate(fema="reload_bump")
        world.mutate(nws="edit_one")
        world.mutate(coagmet="revise", station="fcl01", hour="2025-12-31T20:00:00Z")
        world.mutate(usda="revise")
        world.advance(40 * 60 if step else 0)
        collect(world, seen)
    summary = world.get("_simulator/ledger").json()["datasets"]
    for dataset, keys in seen.items():
        lines = world.ledger(dataset)
        versions: dict[str, int] = defaultdict(int)
        for line in lines:
            versions[line["key"]] += 1
            assert line["acknowledged_at"] is not None
        assert versions == {key: len(contents) for key, contents in keys.items()}
        assert summary[dataset]["acknowledged_keys"] == len(keys)
        total = sum(map(len, keys.values()))
        assert total > len(keys), dataset
        assert summary[dataset]["acknowledged_versions"] == total
        hours = summary[dataset]["by_hour"]
        assert sum(hour["versions"] for hour in hours.values()) == total


def test_unchanged_poll_adds_no_version(world: Simulator) -> None:
    world.post("clock", {"freeze": True})
    seen: Seen = defaultdict(dict)
    collect(world, seen)
    before = world.get("_simulator/ledger").json()["datasets"]
    collect(world, seen)
    after = world.get("_simulator/ledger").json()["datasets"]
    for dataset, entry in after.items():
        assert entry["versions"] == before[dataset]["versions"]
        assert entry["rows_served"] == 2 * before[dataset]["rows_served"]


Polls = st.lists(
    st.tuples(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")), st.booleans())
)


@given(Polls)
def test_versions_are_runs_of_equal_content_and_only_received_ones_count(
    polls: list[tuple[dict[str, str], bool]],
) -> None:
    ledger = Ledger(Path(":memory:"))
    received: dict[str, list[str]] = defaultdict(list)
    for rows, complete in polls:
        facts = [Fact("d", key, fingerprint(content), {}) for key, content in rows.items()]
        served = ledger.serve(facts, "2026-01-01T00:00:00", "2026-01-01T00:00:00")
        if complete:
            ledger.acknowledge(served, "2026-01-01T01:00:00")
    runs: dict[str, list[list[Any]]] = defaultdict(list)
    for rows, complete in polls:
        for key, content in rows.items():
            if not runs[key] or runs[key][-1][0] != content:
                runs[key].append([content, False])
            runs[key][-1][1] |= complete
    for key, versions in runs.items():
        for content, complete in versions:
            if complete and received[key][-1:] != [content]:
                received[key].append(content)
    summary = ledger.summary().get("d", {"acknowledged_versions": 0, "acknowledged_keys": 0})
    assert summary["acknowledged_versions"] == sum(map(len, received.values()))
    assert summary["acknowledged_keys"] == sum(map(bool, received.values()))
    assert len(list(ledger.versions("d"))) == sum(map(len, runs.values()))
    ledger.close()


def test_ledger_lists_more_versions_than_one_batch(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    facts = [Fact("d", f"{i:05d}", fingerprint(i), {"i": i}) for i in range(2_500)]
    ledger.serve(facts, "2026-01-01T00:00:00", "2026-01-01T00:00:00")
    lines = [json.loads(line) for line in ledger.versions("d")]
    assert [line["values"]["i"] for line in lines] == list(range(2_500))
    ledger.close()


def test_restart_keeps_the_ledger(tmp_path: Path) -> None:
    clock = ManualClock()
    with simulator(tmp_path, clock=clock) as world:
        world.get(FEMA, {"$top": 50})
        before = world.ledger("fema_disaster_declarations")
    with simulator(tmp_path, clock=clock) as world:
        assert world.ledger("fema_disaster_declarations") == before
        assert len(before) == 50


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the simulator as a process of its own until the block ends."""
    code = (
        "import sys; from pathlib import Path; from simulator.server import run;"
        "run(Path(sys.argv[1]), port=int(sys.argv[2]), seed=1, speed=1.0)"
    )
    running = subprocess.Popen([sys.executable, "-c", code, str(directory), str(port)])
    try:
        wait_for(lambda: _healthy(port), 60, "the simulator to answer", interval=0.1)
        yield running
    finally:
        running.kill()
        running.wait(20)


def _healthy(port: int) -> bool:
    try:
        return bool(client.ask(f"http://127.0.0.1:{port}", "GET", "/_simulator/health"))
    except ServiceError:
        return False


@pytest.mark.integration
def test_killed_simulator_comes_back_with_its_world_and_ledger(tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    paths = [f"/{FEMA}?$top=10000", f"/{COAGMET}?span=1", "/_simulator/ledger/nws_alerts"]
    with process(tmp_path, port) as running:
        client.ask(base, "POST", "/_simulator/clock", {"freeze": True})
        for mutation in ({"fema": "declare"}, {"nws": "new"}, {"coagmet": "revise"}):
            client.ask(base, "POST", "/_simulator/mutations", mutation)
        Served(port, ManualClock()).get(NWS)
        before = [client.text(base, path) for path in paths]
        resident = _resident_kib(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        running.wait(20)
    with process(tmp_path, port):
        assert [client.text(base, path) for path in paths] == before
    assert resident < 90 * 1024


@pytest.mark.integration
def test_stopped_simulator_ends_within_seconds_and_listens_on_loopback_only(
    tmp_path: Path,
) -> None:
    port = free_port()
    with process(tmp_path, port) as running:
        tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        sockets = [line.split()[1:4] for line in tables.splitlines()]
        hosts = [
            local.split(":")[0]
            for local, _, state in sockets
            if local.endswith(f":{port:04X}") and state == "0A"
        ]
        assert hosts == ["0100007F"]
        running.send_signal(signal.SIGTERM)
        running.wait(20)


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
