"""Reporting usage: kept until the stream manager has it, and sent again unchanged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from api.usage.ledger import Counts, Kind, Ledger
from api.usage.reporter import ORPHAN_SECONDS, Reporter
from emdata.contracts.api_usage import ApiUsage
from emdata.errors import SourceUnavailable

KIND = Kind(1_790_000_040, "acme", "nws_alerts", "csv", "2xx", "/x")


class Manager:
    """What the stream manager's door does with lines: keyed, so that a line counts once."""

    def __init__(self) -> None:
        self.is_away = self.dies_after_taking = False
        self.lines: dict[str, bytes] = {}
        self.posts = 0

    def post(self, dataset: str, records: Sequence[bytes]) -> None:
        assert dataset == "api_usage"
        if self.is_away:
            raise SourceUnavailable("the manager is away")
        self.posts += 1
        for body in records:
            key = msgspec.json.decode(body, type=ApiUsage).record_key()
            assert self.lines.setdefault(key, body) == body, "a line changed after it was sent"
        if self.dies_after_taking:
            raise SourceUnavailable("no answer")

    @property
    def requests(self) -> int:
        return sum(msgspec.json.decode(b, type=ApiUsage).requests for b in self.lines.values())


def made(folder: Path, manager: Manager, process: str = "p1") -> tuple[Ledger, Reporter]:
    ledger = Ledger(process)
    return ledger, Reporter(ledger, process, folder, manager, 1.0)


def count(ledger: Ledger, requests: int) -> None:
    for _ in range(requests):
        ledger.add(KIND, Counts(1, 2, 3, 0.1, 0.1))


def test_what_the_manager_took_leaves_no_file(tmp_path: Path) -> None:
    manager = Manager()
    ledger, reporter = made(tmp_path / "usage", manager)
    reporter.seal()
    reporter.send()
    assert manager.posts == 0, "without requests nothing is sent"
    count(ledger, 3)
    reporter.seal()
    reporter.send()
    assert manager.requests == 3
    assert list((tmp_path / "usage").iterdir()) == []


def test_lines_wait_for_a_manager_that_is_away_and_count_once(tmp_path: Path) -> None:
    manager = Manager()
    ledger, reporter = made(tmp_path, manager)
    manager.is_away = True
    for _ in range(4):
        count(ledger, 5)
        reporter.seal()
        reporter.send()
    manager.is_away, manager.dies_after_taking = False, True
    reporter.send()
    manager.dies_after_taking = False
    count(ledger, 1)
    reporter.seal()
    reporter.send()
    assert manager.requests == 21
    assert list(tmp_path.iterdir()) == []


def test_another_process_sends_what_a_killed_one_left(tmp_path: Path) -> None:
    manager = Manager()
    manager.is_away = True
    ledger, killed = made(tmp_path, manager)
    count(ledger, 7)
    killed.seal()
    manager.is_away = False
    _, other = made(tmp_path, manager, "p2")
    other.send()
    assert manager.requests == 0, "a process that may still live sends its own"
    (file,) = tmp_path.iterdir()
    os.utime(file, (0, file.stat().st_mtime - ORPHAN_SECONDS - 1))
    other.send()
    assert manager.requests == 7
    killed.send()
    assert (manager.requests, list(tmp_path.iterdir())) == (7, [])


def test_a_disk_that_is_full_keeps_the_lines_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    manager = Manager()
    ledger, reporter = made(blocked / "usage", manager)
    count(ledger, 2)
    reporter.seal()
    assert len(ledger) == 1
    blocked.unlink()
    count(ledger, 1)
    reporter.seal()
    reporter.send()
    assert manager.requests == 3


async def test_stopping_sends_what_was_counted(tmp_path: Path) -> None:
    manager = Manager()
    ledger, reporter = made(tmp_path, manager)
    await reporter.start()
    count(ledger, 2)
    await reporter.stop()
    assert manager.requests == 2
