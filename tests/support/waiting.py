"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(predicate: Callable[[], T], timeout: float, what: str, *, interval: float = 0.05) -> T:
    """Call ``predicate`` until it returns something true, and return that.

    ``timeout`` and ``interval`` are in seconds. Raises AssertionError that names ``what`` was
    waited for and what the predicate returned last; an error of the predicate passes through.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = predicate()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; last answer: {found!r}")
        time.sleep(interval)
