"""Looking into a buffer changes nothing of it and says what recovery would find."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emdata.commits import Dead
from stream_manager.buffer import BufferLog
from stream_manager.buffer.inspect import SegmentFiles, SegmentReport, segment_files
from tests.stream_manager.making import AT, append, commit, draft

DEAD = Dead("1-made_things-2", "made", "made_things", 2, "p1", "kafka_refused", "r", b"x", 1, AT)


def filled(folder: Path, *, batches: int = 6, segment_bytes: int = 1500) -> None:
    """Write batches of three records each, confirm the first batch, and end."""
    with BufferLog(folder, writer=7, segment_bytes=segment_bytes) as log:
        log.open()
        for batch in range(batches):
            numbers = range(batch * 3, batch * 3 + 3)
            runs = append(log, [draft(n) for n in numbers], [commit(f"c{batch}")], [DEAD])
            if batch == 0:
                log.delivered(runs)


def reports(folder: Path) -> list[SegmentReport]:
    return [report for report, _ in SegmentFiles(segment_files(folder))]


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_counts_of_segments_add_up_and_no_byte_changes_while_a_manager_runs(
    tmp_path: Path,
) -> None:
    with BufferLog(tmp_path, writer=7, segment_bytes=1500) as log:
        log.open()
        runs = append(log, [draft(n) for n in range(3)], [commit()])
        append(log, [draft(n) for n in range(3, 30)], [commit("p2")], [DEAD])
        log.delivered(runs)
        before = contents(tmp_path)
        found = reports(tmp_path)
        assert contents(tmp_path) == before
        assert {one.writer for one in found} == {7}
        assert [one.epoch for one in found] == [1] * len(found)
        assert sum(one.records for one in found) == 30
        assert sum(one.undelivered for one in found) == 27
        assert sum(one.commits for one in found) == 2
        assert [dead.id for one in found for dead in one.deads] == [DEAD.id]
        assert not any(one.damage or one.torn for one in found)


def test_a_write_under_way_at_the_end_is_no_damage_and_the_same_bytes_before_it_are(
    tmp_path: Path,
) -> None:
    filled(tmp_path)
    first, *_, last = segment_files(tmp_path)
    with last.open("ab") as file:
        file.write(b"EMB2 half a frame")
    with first.open("ab") as file:
        file.write(b"EMB2 half a frame")
    found = reports(tmp_path)
    assert (found[-1].torn, found[-1].damage) == (17, [])
    assert (found[0].torn, [one.end - one.start for one in found[0].damage]) == (0, [17])


@settings(max_examples=10)
@given(st.data())
def test_fault_2_a_flipped_bit_is_named_where_recovery_would_set_it_aside(
    data: st.DataObject,
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        filled(folder / "b", batches=3)
        victim = data.draw(st.sampled_from(segment_files(folder / "b")[:-1]))
        content = bytearray(victim.read_bytes())
        at = data.draw(st.integers(0, len(content) * 8 - 1))
        content[at // 8] ^= 1 << at % 8
        victim.write_bytes(content)
        found = reports(folder / "b")
        damaged = [one for one in found if one.damage]
        assert [one.path for one in damaged] == [victim]
        assert damaged[0].damage[0].start <= at // 8 < damaged[0].damage[-1].end
        left = sum(one.undelivered for one in found)
        with BufferLog(folder / "b", writer=7, segment_bytes=1500) as log:
            assert sum(len(run) for run in log.open().runs) == left
    finally:
        shutil.rmtree(folder)


def test_a_tail_that_a_later_segment_refuses_is_not_counted(tmp_path: Path) -> None:
    with BufferLog(tmp_path, writer=7, segment_bytes=1 << 20) as log:
        log.open()
        append(log, [draft(1)])
        log._abandon()  # as after a failed fsync: what was written then was never acknowledged
        append(log, [draft(2)])
        refused = segment_files(tmp_path)[0]
        with refused.open("ab") as file:
            file.write(refused.read_bytes()[-300:])
        found = reports(tmp_path)
    assert [one.records for one in found] == [1, 1]
    assert not any(one.damage for one in found)
