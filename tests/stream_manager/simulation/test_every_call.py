"""Row 7: a crash at every call that the log makes to its disk, and a loss of power there."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stream_manager.buffer import BufferLog, Recovery
from stream_manager.buffer import log as log_module
from tests.stream_manager.making import append, commit, draft, records
from tests.stream_manager.simulation.disk import Crashed, FaultyDisk

TORN = (0.0, 0.5, 0.999)  # how much of the write at hand is on the disk


@dataclass
class Books:
    """What the script was promised: numbers of acknowledged and of confirmed records, and COMMITs.

    asked: what was appended, acknowledged or not. confirming: what was being confirmed last.
    """

    asked: set[str] = field(default_factory=set)
    acknowledged: dict[int, str] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)
    confirming: set[int] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)


def script(log: BufferLog, books: Books) -> None:
    """Append, rotate, confirm in parts, apply, and so remove segments; then append again."""
    log.open()
    taken = [_append(log, books, 10 * turn) for turn in range(4)]
    assert log.segment_count() > 2, "the script must rotate"
    for number, entries in enumerate(taken):
        for part in (entries[:2], entries[2:]):
            books.confirming = {run.head.first_seq + run.positions[0] for run in part}
            log.delivered(part)
            books.confirmed |= books.confirming
        poll_id = f"p{10 * number}"
        books.applied.add(poll_id)  # in PostgreSQL before the log is told
        log.applied(entries[0].place.segment, poll_id=poll_id)
    assert log.segment_count() < 3, "the script must remove"
    _append(log, books, 50)


def _append(log: BufferLog, books: Books, first: int) -> list[log_module.Run]:
    poll_id = f"p{first}"
    drafts = [draft(number, poll_id=poll_id) for number in range(first, first + 3)]
    books.asked |= {one.record_key for one in drafts}
    entries = append(log, drafts, [commit(poll_id, accepted=3)])
    books.acknowledged |= {one.seq: one.record_key for one in records(log, entries)}
    books.commits.add(poll_id)
    return entries


def opened(folder: Path, disk: FaultyDisk) -> BufferLog:
    return BufferLog(folder, writer=1, segment_bytes=700, disk=disk)


def check(folder: Path, disk: FaultyDisk, books: Books, *, has_power: bool) -> None:
    """A start after the crash finds what was promised, and the log goes on behind it."""
    with opened(folder, disk) as log:
        recovery = log.open()
        found = {one.seq: one.record_key for one in records(log, recovery.runs)}
        waiting = {seq: key for seq, key in books.acknowledged.items() if seq not in found}
        # Confirmations are not synced: after a loss of power records may come again.
        assert waiting.keys() <= books.confirmed | books.confirming, "acknowledged and lost"
        if has_power:
            assert not found.keys() & books.confirmed, "confirmed and found again"
        for seq, key in found.items():
            assert books.acknowledged.get(seq, key) == key, "one number, two records"
        assert set(found.values()) <= books.asked
        highest = max([0, *found, *books.acknowledged])
        assert set(range(1, highest + 1)) <= found.keys() | books.acknowledged.keys(), "a hole"
        lost = books.commits - books.applied - _commits(recovery)
        assert lost == set(), "acknowledged COMMITs that nobody applied"
        (entry,) = append(log, [draft(99, poll_id="after")])
        assert records(log, [entry])[0].seq == highest + 1


def _commits(recovery: Recovery) -> set[str]:
    return {one.poll_id for _, one in recovery.commits}


def run(
    folder: Path, disk: FaultyDisk, books: Books, what: Callable[[BufferLog, Books], None]
) -> bool:
    """Run something on a log; returns whether it came to its end."""
    log = opened(folder, disk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "append_acks", disk.append_acks)
        try:
            what(log, books)
            return True
        except Crashed:
            return False
        finally:
            log.close()


def calls_of_the_script(folder: Path) -> int:
    disk = FaultyDisk()
    assert run(folder, disk, Books(), script)
    return disk.calls


def crash(folder: Path, call: int, *, torn: float, seed: int, has_power: bool) -> None:
    disk, books = FaultyDisk(random.Random(seed), crash_at=call, torn_share=torn), Books()
    assert not run(folder, disk, books, script)
    if has_power:
        disk.restarted()
    else:
        disk.power_loss(folder)
    check(folder, disk, books, has_power=has_power)


@pytest.mark.integration
def test_fault_7_a_crash_at_every_call_of_the_log_loses_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    calls = calls_of_the_script(tmp_path / "whole")
    assert calls > 40
    for call in range(1, calls + 1):
        for torn in TORN:
            folder = tmp_path / f"{call}-{torn}"
            crash(folder, call, torn=torn, seed=call, has_power=True)


@pytest.mark.integration
@pytest.mark.parametrize("seeds", [2, pytest.param(40, marks=pytest.mark.long)])
def test_fault_7_a_loss_of_power_at_every_call_loses_nothing_that_was_acknowledged(
    tmp_path: Path, seeds: int
) -> None:
    calls = calls_of_the_script(tmp_path / "whole")
    for call in range(1, calls + 1):
        for seed in range(seeds):
            folder = tmp_path / f"{call}-{seed}"
            crash(folder, call, torn=TORN[seed % 3], seed=1000 * seed + call, has_power=False)


@pytest.mark.integration
def test_fault_7_a_crash_at_every_call_of_the_start_after_a_crash_loses_nothing(
    tmp_path: Path,
) -> None:
    for first in range(4, 16):
        for second in range(1, 40):
            folder = tmp_path / f"{first}-{second}"
            disk, books = FaultyDisk(random.Random(second), crash_at=first), Books()
            assert not run(folder, disk, books, script)
            disk.restarted()
            disk.crash_at = disk.calls + second
            has_started = run(folder, disk, books, lambda log, _books: (log.open(), None)[1])
            disk.power_loss(folder)
            check(folder, disk, books, has_power=False)
            if has_started:
                break
        else:
            raise AssertionError("a start makes more calls than were tried")
