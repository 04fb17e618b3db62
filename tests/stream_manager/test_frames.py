"""The bytes on disk: frames and confirmations survive what disks and kills do to them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from stream_manager.buffer.acks import append_acks, ranges, read_acks
from stream_manager.buffer.frames import (
    PREFIX_SIZE,
    Batch,
    Damage,
    Frame,
    Header,
    decode_batch,
    decode_columns,
    decode_header,
    encode_batch,
    encode_header,
    frame_at,
    frame_size,
    scan,
)
from tests.stream_manager.making import block, commit, draft


def batch(*numbers: int, base: int = 0) -> Batch:
    made = block(*map(draft, numbers), first_seq=numbers[0] + 1)
    return Batch(base, [made.head], [commit()], [], [made.columns])


def test_a_batch_and_a_header_come_back_as_they_were_written() -> None:
    written = batch(1, 2, base=7)
    (frame,) = scan(encode_batch(written))
    assert isinstance(frame, Frame)
    read = decode_batch(frame.payload)
    assert (read.base, read.heads) == (7, written.heads)
    assert [stored.load() for stored in read.stored_commits()] == written.commits
    assert decode_columns(read.columns[0]) == block(draft(1), draft(2)).columns
    header = Header(1, 2, 3, {"a": 4}, (1, 99))
    (frame,) = scan(encode_header(header))
    assert isinstance(frame, Frame)
    assert decode_header(frame.payload) == header


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=20))
def test_a_batch_is_plain_messagepack_whatever_its_payloads(blocks: list[list[bytes]]) -> None:
    made = [block(*(replace(draft(1), payload=one) for one in some)) for some in blocks]
    written = Batch(3, [one.head for one in made], [commit()], [], [one.columns for one in made])
    (frame,) = scan(encode_batch(written))
    assert isinstance(frame, Frame)
    assert msgspec.msgpack.decode(frame.payload) == msgspec.msgpack.decode(
        msgspec.msgpack.encode(written)
    )
    read = [decode_columns(raw) for raw in decode_batch(frame.payload).columns]
    assert [[one.payload(at) for at in range(len(one.ends))] for one in read] == blocks


def test_a_block_of_the_first_layout_is_read() -> None:
    drafts = [replace(draft(1), region="CO"), replace(draft(2, size=9), record_version="v")]
    now = block(*drafts).columns
    payloads = [one.payload for one in drafts]
    before = [*astuple(now)[:5], payloads]
    for stored, regions in ((before, None), ([*before, now.regions], now.regions)):
        read = decode_columns(msgspec.Raw(msgspec.msgpack.encode(stored)))
        assert read == replace(now, regions=regions)
        assert [read.payload(at) for at in (0, 1)] == payloads


@given(st.binary(max_size=400))
def test_any_bytes_are_walked_to_their_end(data: bytes) -> None:
    pieces = list(scan(data))
    assert sum(piece.end - piece.start for piece in pieces) == len(data)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5), st.binary(min_size=1, max_size=60))
def test_frames_behind_garbage_are_found(numbers: list[int], garbage: bytes) -> None:
    frames = [encode_batch(batch(n)) for n in numbers]
    pieces = list(scan(garbage + b"".join(frames)))
    intact = [piece for piece in pieces if isinstance(piece, Frame)]
    assert [decode_batch(one.payload).heads[0].first_seq for one in intact] == [
        n + 1 for n in numbers
    ]
    assert isinstance(pieces[0], Damage)
    assert not pieces[0].at_end


@given(st.integers(0, 10_000))
def test_a_cut_frame_is_never_taken_for_whole(cut: int) -> None:
    data = encode_batch(batch(1, 2))
    kept = data[: cut % len(data)]
    assert frame_at(kept, 0) is None
    assert frame_size(kept) in (0, len(data))


def test_a_prefix_names_the_size_of_its_frame() -> None:
    data = encode_batch(batch(1))
    assert frame_size(data[:PREFIX_SIZE]) == len(data)
    assert frame_size(b"\x00" * PREFIX_SIZE) == 0


@given(st.lists(st.sets(st.integers(0, 5000), min_size=1), max_size=6))
def test_confirmations_come_back_as_they_were_written(groups: list[set[int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.ack"
        for group in groups:
            append_acks(path, ranges(sorted(group)))
        assert read_acks(path) == set().union(*groups)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_confirmation_costs_only_itself(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "1.ack"
    append_acks(path, [(1, 3)])
    append_acks(path, [(9, 9)])
    with path.open("r+b") as file:
        file.truncate(24 - cut)
    assert read_acks(path) == {1, 2, 3}
    append_acks(path, [(20, 21)])
    assert read_acks(path) == {1, 2, 3, 20, 21}
