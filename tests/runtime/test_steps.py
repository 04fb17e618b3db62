"""The order of a start."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.errors import ServiceError
from runtime.steps import Outcome, Step, run_steps


def _ignore(outcome: Outcome) -> None:
    assert outcome.name


def test_steps_without_needs_run_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=10)

    def run() -> str:
        meet.wait()
        return ""

    outcomes = run_steps([Step("a", run), Step("b", run)], _ignore)
    assert [outcome.error for outcome in outcomes] == [None, None]


def test_a_failure_leaves_out_what_depends_on_it_and_nothing_else() -> None:
    def fail() -> str:
        raise ServiceError("broken")

    outcomes = run_steps(
        [
            Step("top", lambda: "", ("middle",)),
            Step("middle", lambda: "", ("base",)),
            Step("base", fail),
            Step("other", lambda: "done"),
        ],
        _ignore,
    )
    by_name = {outcome.name: outcome for outcome in outcomes}
    assert str(by_name["base"].error) == "broken"
    assert "base failed" in str(by_name["middle"].error)
    assert "middle failed" in str(by_name["top"].error)
    assert by_name["other"].text == "done"


def test_a_full_disk_is_a_failure_of_its_step() -> None:
    def fail() -> str:
        raise OSError(28, "No space left on device")

    (outcome,) = run_steps([Step("kafka", fail)], _ignore)
    assert "No space left" in str(outcome.error)


def test_circular_needs_are_refused() -> None:
    steps = [Step("a", lambda: "", ("b",)), Step("b", lambda: "", ("a",))]
    with pytest.raises(ServiceError, match="circular"):
        run_steps(steps, _ignore)


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_every_step_runs_once_and_after_its_needs(needs: list[set[int]]) -> None:
    order: list[str] = []

    def step(number: int) -> Step:
        def run() -> str:
            order.append(str(number))
            return ""

        lower = tuple(str(need) for need in needs[number] if need < number)
        return Step(str(number), run, (*lower, "not chosen"))

    steps = [step(number) for number in range(len(needs))]
    run_steps(reversed(steps), _ignore)
    assert sorted(order) == sorted(s.name for s in steps)
    for item in steps:
        for need in item.needs:
            assert need == "not chosen" or order.index(need) < order.index(item.name)
