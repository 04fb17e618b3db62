"""Copies of segments: complete, also of what was delivered at once, and bounded."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import LocalStore

from emdata.clock import ManualClock, SystemClock
from emdata.errors import SettingError
from emdata.objects import open_store
from stream_manager.buffer import BufferLog
from stream_manager.buffer.inspect import SegmentFiles, segment_files
from stream_manager.second_site.copies import SegmentCopies, fetch
from tests.stream_manager.making import append, commit, draft
from tests.support.waiting import wait_for


class Site:
    """A log whose segments are copied; the clock is ahead, so that nothing need settle."""

    def __init__(self, folder: Path, *, max_bytes: int = 1 << 20) -> None:
        self.folder = folder
        self.store = open_store(f"file://{folder}/store")
        clock = ManualClock(SystemClock().now() + timedelta(hours=1))
        self.copies = SegmentCopies(
            folder / "log",
            folder / "outgoing",
            self.store,
            writer=7,
            max_bytes=max_bytes,
            clock=clock,
        )
        self.open()

    def open(self) -> None:
        """Open the log, as after a start."""
        self.log = BufferLog(self.folder / "log", writer=7, segment_bytes=1, disk=self.copies.disk)
        self.runs = self.log.open().runs

    def write(self, *numbers: int) -> None:
        """Append records, each in a poll and so in a segment of its own."""
        for number in numbers:
            poll = f"p{number}"
            runs = append(self.log, [draft(number, poll_id=poll)], [commit(poll)])
            self.log.applied(runs[0].place.segment, poll_id=poll)
            self.runs += runs

    def deliver(self, count: int | None = None) -> None:
        """Confirm records, oldest first."""
        done, self.runs = self.runs[:count], [] if count is None else self.runs[count:]
        self.log.delivered(done)

    def fetched(self) -> tuple[list[int], int]:
        """Numbers of all copied records, and how many of them are not confirmed."""
        target = self.folder / f"fetched-{time.monotonic_ns()}"
        target.mkdir()
        seqs, waiting = set(), 0
        for folder in {path.parent for path in fetch(self.store, target)}:
            for report, blocks in SegmentFiles(segment_files(folder)):
                assert report.writer == 7
                assert not report.damage
                waiting += report.undelivered
                seqs |= {record.seq for one in blocks for record in one.block.records()}
        return sorted(seqs), waiting


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_kafka_took_at_once_is_copied_too(site: Site) -> None:
    site.write(1)
    for number in range(2, 9):
        site.write(number)
        site.deliver()
    assert len(segment_files(site.folder / "log")) == 1
    assert site.copies.waiting_bytes() > 0
    site.copies.copy_once()
    assert site.copies.waiting_bytes() == 0
    seqs, waiting = site.fetched()
    assert seqs == list(range(1, seqs[-1] + 1))
    assert seqs[-1] >= 6, "all but the newest segment"
    assert waiting == 0


def test_what_waits_for_kafka_is_copied_where_it_lies_and_its_confirmations_follow(
    site: Site,
) -> None:
    site.write(*range(1, 9))
    assert site.copies.copy_once() > 0
    assert site.copies.copy_once() == 0, "nothing is new"
    seqs, waiting = site.fetched()
    assert waiting == len(seqs) > 0
    site.deliver(1)
    site.copies.copy_once()
    assert site.fetched() == (seqs, waiting - 1)
    site.deliver()
    site.copies.copy_once()
    assert site.fetched()[1] == 0


def test_after_a_restart_only_what_is_missing_is_copied(site: Site) -> None:
    site.write(*range(1, 9))
    first = site.copies.copy_once()
    site.log.close()
    again = Site(site.folder)
    assert len(again.runs) == 8
    assert 0 < again.copies.copy_once() < first, "the segment that was the newest"
    assert again.fetched() == (list(range(1, 9)), 8)


def test_two_lives_of_a_directory_do_not_replace_each_other(tmp_path: Path) -> None:
    first = Site(tmp_path)
    first.write(*range(1, 5))
    first.copies.copy_once()
    count = len(list((tmp_path / "store").rglob("*.seg")))
    first.log.close()
    for path in (tmp_path / "log").iterdir():
        path.unlink()
    second = Site(tmp_path)
    second.log.raise_seqs({"made_things": 4})
    second.write(*range(5, 9))
    second.copies.copy_once()
    assert len(list((tmp_path / "store").rglob("*.seg"))) > count
    assert set(second.fetched()[0]) >= {1, 2, 3, 5, 6, 7}


def test_a_store_that_is_away_costs_no_more_disk_than_its_bound(tmp_path: Path) -> None:
    site = Site(tmp_path, max_bytes=2000)
    (tmp_path / "store" / "7").write_text("a file where a folder must be")
    for number in range(1, 12):
        site.write(number, number + 100)
        site.deliver()
        with pytest.raises(OSError, match="7/"):
            site.copies.copy_once()
        if number > 5:
            assert site.copies.waiting_bytes() <= 4000
    assert site.copies.lost > 0
    (tmp_path / "store" / "7").unlink()
    site.copies.copy_once()
    assert site.copies.waiting_bytes() == 0


def test_the_thread_copies_and_goes_on_after_a_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_manager.second_site.copies.EVERY_SECONDS", 0.01)
    (site.folder / "store" / "7").write_text("a file where a folder must be")
    site.write(*range(1, 9))
    site.copies.start()
    wait_for(lambda: not site.copies.has_store, 10, "the failure")
    (site.folder / "store" / "7").unlink()
    wait_for(lambda: site.fetched()[0] and site.copies.has_store, 10, "the copies")
    site.copies.stop()


def test_only_names_of_copies_are_fetched(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "7").mkdir(parents=True)
    for name in ("7/notes.txt", "7/0.seg", "README", "7/../x.seg"):
        (store / name).write_bytes(b"x")
    assert fetch(LocalStore(prefix=store), tmp_path / "into") == []
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("url", ["file://relative", "nonsense", "ftp://host/x"])
def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="object storage"):
        open_store(url)
