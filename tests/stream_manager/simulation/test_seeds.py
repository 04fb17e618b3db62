"""Row 52: random histories of crashes, torn writes, cuts and clock jumps; what must hold holds.

A seed that fails is played again alone with ``play(tmp_path, seed)``: it fails in the same way.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from stream_manager.delivery.queues import PriorityQueues
from stream_manager.delivery.sending import Sent
from tests.stream_manager.simulation.broker import Broken
from tests.stream_manager.simulation.world import play

pytestmark = pytest.mark.timeout(3600)
ROOT = Path(__file__).parents[3]
_DIGEST = """
import sys
from pathlib import Path
from tests.stream_manager.simulation.test_seeds import digest
print(digest(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A history logs thousands of events, which nobody reads and which take most of its time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**before)


def digest(folder: Path, seed: int) -> str:
    """Return a hash over everything that happened."""
    return hashlib.sha256("\n".join(play(folder, seed)).encode()).hexdigest()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.integration
def test_fault_52_whatever_breaks_what_was_acknowledged_arrives_once_and_in_order(
    tmp_path: Path, seed: int
) -> None:
    play(tmp_path, seed)


@pytest.mark.long
def test_fault_52_over_a_thousand_seeds(tmp_path: Path) -> None:
    broken = {}
    for seed in range(20, 1020):
        try:
            play(tmp_path / str(seed), seed)
        except Broken as error:
            broken[seed] = str(error)
    assert broken == {}


@pytest.mark.integration
def test_fault_52_a_seed_replays_in_another_process_with_other_hashes(tmp_path: Path) -> None:
    elsewhere = subprocess.run(
        [sys.executable, "-c", _DIGEST, str(tmp_path / "elsewhere"), "3"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert elsewhere.stdout.split()[-1] == digest(tmp_path / "here", 3)


def released_without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sent, "delivered", lambda sent: sent.run.only(sent.run.positions))


def put_back_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PriorityQueues, "put_back", PriorityQueues.put)


def served_first_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_manager.delivery.queues.WEIGHTS", dict.fromkeys(range(4), 3))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (released_without_a_report, "although its confirmation was written"),
        (put_back_behind, "arrived after"),
        (served_first_come, "of a saturated backlog"),
    ],
)
def test_fault_52_a_planted_bug_is_found_and_its_seed_fails_the_same_way_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    found: str,
) -> None:
    plant(monkeypatch)
    seed, failure = _first_failure(tmp_path, found)
    with pytest.raises(Broken) as again:
        play(tmp_path / "again", seed)
    assert str(again.value) == failure


def _first_failure(folder: Path, found: str, **options: bool) -> tuple[int, str]:
    for seed in range(40):
        try:
            play(folder / str(seed), seed, **options)
        except Broken as error:
            if found in str(error):
                return seed, str(error)
    raise AssertionError("40 seeds did not find the bug")


@pytest.mark.integration
def test_fault_52_a_disk_that_lies_about_syncs_is_beyond_what_is_promised(tmp_path: Path) -> None:
    _first_failure(tmp_path, "lost", is_lying_disk=True)
