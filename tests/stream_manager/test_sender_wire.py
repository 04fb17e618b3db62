"""What the manager and its sending process tell each other arrives whole, however it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream_manager.delivery.sender_wire import (
    ANSWERS,
    ORDERS,
    Answer,
    Failure,
    Inbox,
    Order,
    framed,
)

numbers = st.integers(0, 2**40)
failures = st.builds(
    Failure,
    position=numbers,
    code=st.integers(-200, 200),
    reason=st.text(max_size=20),
    is_fatal=st.booleans(),
)
answers = st.builds(
    Answer, number=numbers, failures=st.lists(failures, max_size=3), is_readable=st.booleans()
)


@given(messages=st.lists(answers, max_size=8), cuts=st.lists(st.integers(1, 40), min_size=1))
def test_messages_survive_any_cut_of_the_stream(messages: list[Answer], cuts: list[int]) -> None:
    data = b"".join(map(framed, messages))
    inbox, found, at = Inbox(), [], 0
    while at < len(data):
        size = cuts[len(found) % len(cuts)]
        found += [ANSWERS.decode(frame) for frame in inbox.take(data[at : at + size])]
        at += size
    assert found == messages


@given(positions=st.none() | st.lists(numbers, min_size=1, max_size=5))
def test_an_order_keeps_its_positions(positions: list[int] | None) -> None:
    order = Order(1, 2, 3, 4, 3, 5, 6, positions)
    (frame,) = Inbox().take(framed(order))
    assert ORDERS.decode(frame) == order
