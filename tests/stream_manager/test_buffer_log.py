"""The buffer's promises on a disk that tears, fills, breaks and forgets."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdata.errors import BufferUnavailable, ServiceError
from stream_manager.buffer import BufferLog
from stream_manager.buffer.disk import OsDisk
from stream_manager.buffer.frames import BATCH_MAGIC
from stream_manager.buffer.recovery import segment_path
from tests.stream_manager import making
from tests.stream_manager.making import DATASET, commit, draft, records, singles


def open_log(
    folder: Path, *, segment_bytes: int = 1 << 20, disk: OsDisk | None = None
) -> BufferLog:
    return BufferLog(folder, writer=1, segment_bytes=segment_bytes, disk=disk)


def append(log: BufferLog, *numbers: int, poll_id: str = "p1") -> list[int]:
    drafts = [draft(number, poll_id=poll_id) for number in numbers]
    return [record.seq for record in records(log, making.append(log, drafts))]


def recovered_keys(folder: Path) -> list[str]:
    with open_log(folder) as log:
        return [record.record_key for record in records(log, log.open().runs)]


def filled(
    folder: Path, batches: int = 5, *, segment_bytes: int = 1 << 20, disk: OsDisk | None = None
) -> Path:
    with open_log(folder, segment_bytes=segment_bytes, disk=disk) as log:
        log.open()
        for number in range(batches):
            append(log, 2 * number, 2 * number + 1)
        return segment_path(folder, log.current_segment)


def test_what_was_acknowledged_is_read_back_in_order(tmp_path: Path) -> None:
    filled(tmp_path)
    assert recovered_keys(tmp_path) == [f"k{n}" for n in range(10)]


def test_numbers_are_dense_and_go_on_after_a_restart(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.open()
        assert append(log, 1, 2, 3) == [1, 2, 3]
    with open_log(tmp_path) as log:
        log.open()
        assert append(log, 4) == [4]


def test_numbers_go_on_after_every_segment_was_delivered_and_removed(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.open()
        entries = making.append(log, [draft(1)], [commit(accepted=1)])
        log.delivered(entries)
        log.applied(log.current_segment, poll_id="p1")
    with open_log(tmp_path) as log:
        recovery = log.open()
        assert recovery.runs == []
        for segment, applied_again in recovery.commits:
            log.applied(segment, poll_id=applied_again.poll_id)
        assert log.segment_count() == 1
        assert append(log, 2) == [2]


def test_confirmed_records_are_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.open()
        entries = making.append(log, [draft(n) for n in range(5)])
        log.delivered([entries[0], entries[3]])
    assert recovered_keys(tmp_path) == ["k1", "k2", "k4"]


def test_a_segment_stays_until_its_records_are_delivered_and_its_commit_applied(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path, segment_bytes=64) as log:
        log.open()
        entries = making.append(log, [draft(1)], [commit(accepted=1)])
        first = log.current_segment
        append(log, 2, poll_id="p2")
        assert log.current_segment > first
        log.delivered(entries)
        assert segment_path(tmp_path, first).exists()
        log.applied(first, poll_id="p1")
        assert not segment_path(tmp_path, first).exists()


def test_a_segment_of_an_open_poll_stays_although_its_records_are_delivered(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path, segment_bytes=64) as log:
        log.open()
        entries = making.append(log, [draft(1, poll_id="open")])
        first = log.current_segment
        append(log, 2, poll_id="other")
        log.delivered(entries)
        assert segment_path(tmp_path, first).exists()
    with open_log(tmp_path) as log:
        assert set(log.open().interrupted) == {"open", "other"}


class Unsynced(OsDisk):
    """A disk that is never asked to sync: for tests that open a thousand logs and lose no power."""

    def sync(self, fd: int) -> None:
        """Leave it to the operating system."""

    def sync_file(self, path: Path) -> None:
        """Leave it to the operating system."""

    def sync_directory(self, path: Path) -> None:
        """Leave it to the operating system."""

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)


def test_fault_1_torn_tail_at_every_byte_loses_only_the_torn_batch(tmp_path: Path) -> None:
    path = filled(tmp_path / "whole")
    data = path.read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(BATCH_MAGIC, at)]
    for cut in range(starts[-2], len(data)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / path.name).write_bytes(data[:cut])
        whole = sum(1 for start in starts[1:] if start <= cut) + (cut == len(data))
        with open_log(folder, disk=Unsynced()) as log:
            recovery = log.open()
            keys = [record.record_key for record in records(log, recovery.runs)]
            assert keys == [f"k{n}" for n in range(2 * whole)], cut
            torn = cut - ([*starts, len(data)][whole])
            assert recovery.torn_bytes == torn
            assert append(log, 99) == [2 * whole + 1]


def test_fault_2_bit_flip_in_the_middle_sets_aside_only_that_batch(tmp_path: Path) -> None:
    path = filled(tmp_path)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(BATCH_MAGIC, at)]
    data[starts[2] + 20] ^= 0x40
    path.write_bytes(data)
    with open_log(tmp_path) as log:
        recovery = log.open()
        keys = [record.record_key for record in records(log, recovery.runs)]
    assert keys == ["k0", "k1", "k2", "k3", "k6", "k7", "k8", "k9"]
    assert recovery.quarantined_bytes == starts[3] - starts[2]
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


@settings(max_examples=60, deadline=None)
@given(offset=st.integers(0, 2000), bit=st.integers(0, 7))
def test_fault_2_any_single_flip_costs_at_most_one_batch(
    tmp_path_factory: pytest.TempPathFactory, offset: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    path = filled(folder, disk=Unsynced())
    data = bytearray(path.read_bytes())
    data[offset % len(data)] ^= 1 << bit
    path.write_bytes(data)
    keys = recovered_keys(folder)
    assert len(keys) >= 8
    assert keys == sorted(keys, key=lambda key: int(key[1:]))


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"EMB2garbage"])
def test_fault_3_empty_zeroed_or_foreign_segment_does_not_stop_the_start(
    tmp_path: Path, content: bytes
) -> None:
    filled(tmp_path)
    segment_path(tmp_path, 7).write_bytes(content)
    with open_log(tmp_path) as log:
        recovery = log.open()
        assert len(singles(recovery.runs)) == 10
        assert append(log, 10) == [11]


def test_fault_3_missing_segment_is_named_and_numbers_never_go_back(tmp_path: Path) -> None:
    with open_log(tmp_path, segment_bytes=64) as log:
        log.open()
        for number in range(4):
            append(log, number)
    segment_path(tmp_path, 2).unlink()
    with open_log(tmp_path) as log:
        recovery = log.open()
        assert recovery.missing_segments == [2]
        assert append(log, 9) == [5]


def test_fault_3_numbers_raised_from_the_state_survive_a_restart_without_a_new_record(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path) as log:
        log.open()
        log.raise_seqs({DATASET: 86, "another": 5})
    with open_log(tmp_path) as log:
        log.open()
        assert append(log, 1) == [87]
        assert log.seqs["another"] == 5


def test_fault_5_numbers_that_cannot_be_made_durable_are_not_raised(tmp_path: Path) -> None:
    disk = BrokenDisk("", errno.ENOSPC)
    with open_log(tmp_path, disk=disk) as log:
        log.open()
        disk.call, disk.times = "create", 1
        with pytest.raises(BufferUnavailable):
            log.raise_seqs({DATASET: 86})
        log.raise_seqs({DATASET: 86})
        assert append(log, 1) == [87]


class BrokenDisk(OsDisk):
    """Fails the chosen call with an errno, as often as told."""

    def __init__(self, call: str, code: int, times: int = 1) -> None:
        self.call, self.code, self.times = call, code, times

    def _maybe(self, call: str) -> None:
        if call == self.call and self.times > 0:
            self.times -= 1
            raise OSError(self.code, os.strerror(self.code))

    def append(self, fd: int, data: bytes) -> None:
        if self.call == "append" and self.times > 0:
            super().append(fd, data[: len(data) // 2])
        self._maybe("append")
        super().append(fd, data)

    def sync(self, fd: int) -> None:
        self._maybe("sync")
        super().sync(fd)

    def create(self, path: Path) -> int:
        self._maybe("create")
        return super().create(path)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("sync", errno.EIO),
        ("append", errno.EIO),
        ("append", errno.ENOSPC),
        ("append", errno.EDQUOT),
    ],
)
def test_fault_4_and_5_a_failed_write_is_not_acknowledged_and_its_segment_never_used_again(
    tmp_path: Path, call: str, code: int
) -> None:
    disk = BrokenDisk("", 0)
    with open_log(tmp_path, disk=disk) as log:
        log.open()
        append(log, 1)
        before = log.current_segment
        disk.call, disk.code = call, code
        with pytest.raises(BufferUnavailable):
            append(log, 2)
        assert append(log, 3) == [2]
        assert log.current_segment > before
    assert recovered_keys(tmp_path) == ["k1", "k3"]


def test_fault_5_disk_full_for_a_while_resumes_by_itself_and_loses_nothing(tmp_path: Path) -> None:
    disk = BrokenDisk("", errno.ENOSPC)
    acknowledged = []
    with open_log(tmp_path, disk=disk) as log:
        log.open()
        append(log, 0)
        acknowledged.append("k0")
        disk.call, disk.times = "append", 7
        for number in range(1, 12):
            try:
                append(log, number)
            except BufferUnavailable:
                continue
            acknowledged.append(f"k{number}")
    assert len(acknowledged) < 12
    assert recovered_keys(tmp_path) == acknowledged


def test_fault_6_a_second_manager_on_one_directory_is_refused(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.open()
        with pytest.raises(ServiceError, match="in use by another stream manager"):
            open_log(tmp_path).open()


def test_fault_9_another_segment_size_still_reads_the_old_segments(tmp_path: Path) -> None:
    filled(tmp_path, segment_bytes=128)
    with open_log(tmp_path, segment_bytes=1 << 16) as log:
        assert len(singles(log.open().runs)) == 10


_APPENDER = """
import sys
from pathlib import Path
from emdata.telemetry import configure_logging
from stream_manager.buffer import BufferLog
from tests.stream_manager import making
from tests.stream_manager.making import draft

configure_logging("appender")
log = BufferLog(Path(sys.argv[1]), writer=1, segment_bytes=4096)
log.open()
number = int(sys.argv[2])
while True:
    making.append(log, [draft(number), draft(number + 1)])
    print(number + 1, flush=True)
    number += 2
"""


@pytest.mark.parametrize("rounds", [3, pytest.param(12, marks=pytest.mark.long)])
def test_fault_7_kill_at_any_moment_keeps_every_acknowledged_record(
    tmp_path: Path, rounds: int
) -> None:
    acknowledged = -1
    for turn in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", _APPENDER, str(tmp_path), str(acknowledged + 1 + 1000 * turn)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        for _ in range(20 + 7 * turn):
            acknowledged = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        assert f"k{acknowledged}" in recovered_keys(tmp_path)
    with open_log(tmp_path) as log:
        seqs = [record.seq for record in records(log, log.open().runs)]
    assert seqs == list(range(1, len(seqs) + 1)), DATASET


def test_fault_2_confirmations_name_the_right_records_behind_a_damaged_batch(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path) as log:
        log.open()
        entries = [making.append(log, [draft(n), draft(n + 1)]) for n in (0, 10, 20)]
        log.delivered(entries[0] + entries[1])
        path, start = segment_path(tmp_path, log.current_segment), entries[1][0].place.offset
    data = bytearray(path.read_bytes())
    data[start + 30] ^= 1
    path.write_bytes(data)
    assert recovered_keys(tmp_path) == ["k20", "k21"]


@pytest.mark.parametrize("call", ["create", "append"])
def test_fault_5_a_segment_that_cannot_be_started_costs_no_number_and_no_descriptor(
    tmp_path: Path, call: str
) -> None:
    disk = BrokenDisk("", errno.ENOSPC)
    with open_log(tmp_path, segment_bytes=200, disk=disk) as log:
        log.open()
        append(log, 1)
        open_files = len(os.listdir("/proc/self/fd"))
        disk.call, disk.times = call, 5
        for number in range(5):
            with pytest.raises(BufferUnavailable):
                append(log, number)
        assert len(os.listdir("/proc/self/fd")) <= open_files
        assert append(log, 2) == [2]
        assert log.seqs_durable() == {DATASET: 2}


def test_fault_4_a_refused_tail_stays_cut_although_the_segment_that_names_it_is_removed(
    tmp_path: Path,
) -> None:
    disk = BrokenDisk("", errno.EIO)
    with open_log(tmp_path, disk=disk) as log:
        log.open()
        append(log, 1)  # stays undelivered
        disk.call, disk.times = "sync", 1
        with pytest.raises(BufferUnavailable):
            append(log, 2)  # its bytes are whole on this disk, but were refused
        entries = making.append(log, [draft(3, poll_id="p3")])
        log.delivered(entries)
        disk.call, disk.times = "sync", 1
        with pytest.raises(BufferUnavailable):
            append(log, 4)
        making.append(log, [], [commit("p3")])
        log.applied(log.current_segment, poll_id="p3")
        assert log.segment_count() == 3
    assert "k2" not in recovered_keys(tmp_path)
    assert "k2" not in recovered_keys(tmp_path)


def test_confirmations_of_a_removed_segment_go_with_it(tmp_path: Path) -> None:
    filled(tmp_path)
    orphan = tmp_path / f"{77:020d}.ack"
    orphan.write_bytes(b"x" * 12)
    recovered_keys(tmp_path)
    assert not orphan.exists()


def test_a_batch_is_read_again_without_its_whole_segment(tmp_path: Path) -> None:
    class Counting(OsDisk):
        read_bytes = 0

        def read_at(self, path: Path, offset: int, size: int) -> bytes:
            data = super().read_at(path, offset, size)
            self.read_bytes += len(data)
            return data

    disk = Counting()
    with open_log(tmp_path, disk=disk) as log:
        log.open()
        entries = [one for n in range(50) for one in making.append(log, [draft(n)])]
        for one in entries:
            one.block = None
        assert [record.record_key for record in records(log, entries)] == [
            f"k{n}" for n in range(50)
        ]
        assert disk.read_bytes <= log.size_bytes() + 50 * 12
