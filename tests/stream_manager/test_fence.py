"""One owner of a log, whatever the one before it still tries."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream_manager.availability.fence import (
    BufferInUse,
    Claim,
    Fenced,
    claim,
    log_directory,
    sight,
)


def steal(base: Path) -> Claim:
    """Take the log from a holder that keeps its lock, as a standby does."""
    return claim(base, even_from=sight(base).turn)


def test_every_opening_is_a_turn_of_its_own(tmp_path: Path) -> None:
    first = claim(tmp_path / "1")
    (first.directory / "00000000000000000001.seg").write_bytes(b"kept")
    first.close()
    second = claim(tmp_path / "1")
    assert (first.turn, second.turn) == (1, 2)
    assert not first.directory.exists()
    assert (second.directory / "00000000000000000001.seg").read_bytes() == b"kept"
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == [
        "lock-00000002",
        "log-00000002",
    ]
    second.close()


def test_a_second_manager_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    first = claim(tmp_path)
    with pytest.raises(BufferInUse, match="in use by another stream manager"):
        claim(tmp_path)
    with pytest.raises(BufferInUse):
        claim(tmp_path, even_from=first.turn + 1)
    first.check()
    first.close()
    claim(tmp_path).close()


def test_of_many_that_try_at_once_exactly_one_has_the_log(tmp_path: Path) -> None:
    claim(tmp_path).close()

    def attempt(_number: int) -> Claim | None:
        try:
            return claim(tmp_path)
        except BufferInUse:
            return None

    with ThreadPoolExecutor(16) as pool:
        won = [one for one in pool.map(attempt, range(64)) if one is not None]
    won[-1].check()
    for older in won[:-1]:
        with pytest.raises(Fenced):
            older.check()
    for one in won:
        one.close()
    # A claim counts for as long as it is held, so without a loser nothing was shown.
    assert len(won) == 1


def test_a_fenced_holder_finds_none_of_its_paths(tmp_path: Path) -> None:
    old = claim(tmp_path)
    segment = old.directory / "00000000000000000001.seg"
    segment.write_bytes(b"acknowledged")
    new = steal(tmp_path)
    with pytest.raises(Fenced, match="turn 1 is over"):
        old.check()
    for attempt in (
        lambda: os.open(segment, os.O_CREAT | os.O_WRONLY),
        lambda: os.open(segment.with_suffix(".ack"), os.O_CREAT | os.O_WRONLY),
        segment.unlink,
    ):
        with pytest.raises(FileNotFoundError):
            attempt()
    assert (new.directory / segment.name).read_bytes() == b"acknowledged"
    new.check()


@pytest.mark.parametrize("is_lock_seen", [True, False])
def test_bytes_that_a_fenced_holder_writes_late_reach_no_file_of_the_log(
    tmp_path: Path, is_lock_seen: bool
) -> None:
    old = claim(tmp_path)
    names = [f"{number:020d}.seg" for number in (1, 2, 3)]
    for name in names:
        (old.directory / name).write_bytes(b"acknowledged")
    still_open = [os.open(old.directory / name, os.O_WRONLY | os.O_APPEND) for name in names[1:]]
    if not is_lock_seen:
        old.close()  # as a lock looks that another machine does not see
    new = steal(tmp_path) if is_lock_seen else claim(tmp_path, is_takeover=True)
    for fd in still_open:
        os.write(fd, b"too late")
        os.fsync(fd)
        os.close(fd)
    assert [(new.directory / name).read_bytes() for name in names] == [b"acknowledged"] * 3


def test_a_directory_that_a_fenced_holder_makes_again_is_not_its_log(tmp_path: Path) -> None:
    old = claim(tmp_path)
    new = steal(tmp_path)
    (old.directory / "unapplied").mkdir(parents=True)
    with pytest.raises(Fenced):
        old.check()
    assert log_directory(tmp_path) == new.directory


def test_a_takeover_that_came_second_changes_nothing(tmp_path: Path) -> None:
    claim(tmp_path)
    seen = sight(tmp_path)
    winner = claim(tmp_path, even_from=seen.turn)
    with pytest.raises(BufferInUse):
        claim(tmp_path, even_from=seen.turn)
    winner.check()


def test_the_pulse_is_seen_and_a_look_disturbs_nobody(tmp_path: Path) -> None:
    assert sight(tmp_path / "none") == sight(tmp_path / "none")
    assert not sight(tmp_path / "none").is_locked
    held = claim(tmp_path)
    before = sight(tmp_path)
    os.utime(tmp_path / "lock-00000001", ns=(1, 1))
    held.pulse()
    after = sight(tmp_path)
    assert (before.turn, before.is_locked) == (after.turn, after.is_locked) == (1, True)
    assert after.pulse_ns != 1
    held.close()
    assert not sight(tmp_path).is_locked


def test_segments_of_the_layout_without_turns_are_moved_once(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000007.seg").write_bytes(b"seg")
    (tmp_path / "00000000000000000007.ack").write_bytes(b"ack")
    (tmp_path / "unapplied").mkdir()
    (tmp_path / "lock").touch()
    assert log_directory(tmp_path) == tmp_path
    # An earlier try ended between two files.
    (tmp_path / "moving").mkdir()
    (tmp_path / "00000000000000000007.ack").rename(tmp_path / "moving" / "00000000000000000007.ack")
    held = claim(tmp_path)
    assert sorted(path.name for path in held.directory.iterdir()) == [
        "00000000000000000007.ack",
        "00000000000000000007.seg",
        "unapplied",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock-00000001", "log-00000001"]
