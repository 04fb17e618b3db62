"""A place in a topic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import Problem
from api.streams.position import Position

OFFSETS = st.dictionaries(st.integers(0, 500), st.integers(0, 10**15), min_size=1, max_size=20)


@given(OFFSETS)
def test_a_position_survives_being_written_and_read(offsets: dict[int, int]) -> None:
    assert Position.parse(str(Position(offsets))) == Position(offsets)


@pytest.mark.parametrize(
    "text", ["", "0", "0:", ":1", "0:1,", "0:-1", "0:1,0:2", "a:b", "0:1 ", "0:1\n", "0:1;1:2",
             "0:" + "9" * 19, "٣:1", ",".join(f"{n}:1" for n in range(5000))]
)  # fmt: skip
def test_an_id_of_something_else_is_a_bad_parameter(text: str) -> None:
    with pytest.raises(Problem) as problem:
        Position.parse(text)
    assert problem.value.status == 400
    assert len(problem.value.detail) < 500


@given(OFFSETS, OFFSETS)
def test_the_furthest_of_two_places_reaches_both(one: dict[int, int], two: dict[int, int]) -> None:
    furthest = Position(one).furthest(Position(two))
    assert furthest.reaches(Position(one))
    assert furthest.reaches(Position(two))


@given(OFFSETS, st.integers(0, 500), st.integers(0, 10**15))
def test_a_message_is_passed_by_the_place_after_it(
    offsets: dict[int, int], partition: int, offset: int
) -> None:
    after = Position(offsets).after(partition, offset)
    assert after.has_passed(partition, offset)
    assert not after.has_passed(partition, offset + 1)
