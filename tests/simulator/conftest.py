"""Fixtures of the simulator's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.running import Served, Simulator, served_simulator, simulator


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Simulator]:
    """A simulator with seed 1 whose real time stands still at 2026-01-01."""
    with simulator(tmp_path) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The same on a real socket."""
    with served_simulator(tmp_path) as running:
        yield running
