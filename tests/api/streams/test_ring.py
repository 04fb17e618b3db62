"""The newest messages of a topic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.streams.position import Position
from api.streams.ring import Read, Ring


def read(offset: int, size: int = 1, partition: int = 0) -> Read:
    return Read(partition, offset, b"x" * size)


@given(
    st.lists(st.lists(st.integers(1, 50), max_size=8), max_size=10),
    st.integers(1, 10),
    st.integers(1, 120),
)
def test_a_ring_keeps_the_newest_within_its_bounds(
    batches: list[list[int]], most: int, most_bytes: int
) -> None:
    ring, sizes = Ring(Position({0: 0}), most, most_bytes), []
    for batch in batches:
        ring.add([read(len(sizes) + n, size) for n, size in enumerate(batch)])
        sizes += batch
        kept = ring.since(ring.first, 1000)
        assert kept is not None
        assert len(kept) <= most
        assert sum(len(one.read.value) for one in kept) <= most_bytes
        assert [one.read.offset for one in kept] == list(range(ring.first, len(sizes)))
        assert ring.next == len(sizes)
        assert ring.start == Position({0: ring.first})
        assert ring.position == Position({0: len(sizes)})


def test_what_is_forgotten_is_not_an_empty_answer() -> None:
    ring = Ring(Position({0: 0}), most=2, most_bytes=1000)
    ring.add([read(0), read(1), read(2)])
    assert ring.since(0, 10) is None
    assert ring.since(3, 10) == []


def test_a_topic_made_anew_is_noticed() -> None:
    ring = Ring(Position({0: 7, 1: 3}), most=2, most_bytes=1000)
    assert not ring.goes_back([read(7), read(3, partition=1)])
    assert ring.goes_back([read(8), read(2, partition=1)])


def test_a_record_is_decoded_once_for_all_listeners() -> None:
    ring = Ring(Position({0: 0}), most=2, most_bytes=1000)
    ring.add([Read(0, 0, b'{"a": 1}')])
    entries = ring.since(0, 1)
    assert entries is not None
    assert entries[0].values is entries[0].values
