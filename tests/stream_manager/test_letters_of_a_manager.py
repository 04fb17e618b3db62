"""A manager's process: its letters are asked for from outside, its segments copied."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stream_manager.door import begin, end, read_topic
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
DATASET = "usda_drought_counties"
TOPIC = "drought-usda-counties"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def platform(store: Path) -> Iterator[Platform]:
    # No stream of its own: what it does here is what this test asks for.
    settings = {
        "EMDATA_STREAMS": "coagmet_stations",
        "EMDATA_BUFFER_COPIES_URL": f"file://{store}",
    }
    with running_platform(only="postgres,kafka,simulator,manager", settings=settings) as running:
        yield running


def post(platform: Platform, rows: list[dict[str, Any]]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{platform.settings.manager_port}/v1/records/{DATASET}",
        data=json.dumps(rows).encode(),
        headers={"Authorization": f"Bearer {platform.context.credentials.ingest_token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def row(county: str, percent: float | str) -> dict[str, Any]:
    shares = {f"{name}_percent": percent for name in ("none", "d0", "d1", "d2", "d3", "d4")}
    return {
        "county_fips": county,
        "valid_on": "2026-11-17",
        "statistics_type": 1,
        "county": "Adams County",
        "state": "CO",
        "valid_from": None,
        "valid_to": None,
        **shares,
    }


def test_a_letter_of_the_door_is_driven_again_by_request_and_its_segment_is_copied(
    platform: Platform, store: Path
) -> None:
    said = post(platform, [row("08001", 1.0), row("08003", "much")])
    assert (said["accepted"], len(said["rejected"])) == (1, 1)

    def letters() -> list[dict[str, Any]]:
        return list(json.loads(platform.emdata("dlq", "ls", "--json").stdout))

    wait_for(letters, 30, "the letter")
    (letter,) = letters()
    assert letter["stream"] == f"ingest-{DATASET}"
    done = platform.emdata("dlq", "redrive", letter["id"], "--json", check=False)
    assert json.loads(done.stdout) == {"letters": 1, "rejected": 1, "unanswered": 0}
    assert done.returncode == 1, "it was rejected again, and a script must notice"
    shown = json.loads(platform.emdata("dlq", "show", letter["id"], "--json").stdout)
    (tried,) = shown["history"]
    assert tried["outcome"] == "rejected"
    assert shown["gate"] == tried["gate"] == shown["code"], "left alone until the code changes"

    # A restart closes the segment; once all of it is delivered and applied, it is copied.
    end(platform, "manager")
    begin(platform, "manager")
    wait_for(lambda: list(store.rglob("*.seg")), 60, "the copy")
    assert "0 segments damaged" in platform.emdata("buffer", "verify", str(store)).stdout
    listed = json.loads(platform.emdata("buffer", "ls", "--json").stdout)
    assert {one["writer"] for one in listed} == {platform.settings.writer}
    refused = platform.emdata("buffer", "replay", "--from", f"file://{store}", check=False)
    assert "is a writer of this platform too" in refused.stderr
    platform.emdata("buffer", "replay", "--from", f"file://{store}", "--own", "--all")
    values = read_topic(platform.settings.kafka_servers, TOPIC)
    assert {(one["seq"], one["county_fips"]) for one in values} == {(1, "08001")}
