"""What a long run has already measured, so that it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from emdata.settings import REPOSITORY
from tests.bench.figures import Figure

FOLDER = REPOSITORY / ".emdata" / "bench"
FIGURES = FOLDER / "stream.json"


def measured(name: str, measure: Callable[[], list[Figure]], *, is_kept: bool) -> list[Figure]:
    """Return the figures of a benchmark: kept ones of a run that was stopped, or new ones."""
    known = _read() if is_kept else {}
    if name in known:
        print("  measured before the run was stopped", flush=True)
        return known[name]
    figures = measure()
    if is_kept:
        FOLDER.mkdir(parents=True, exist_ok=True)
        FIGURES.write_bytes(msgspec.json.encode({**known, name: figures}))
    return figures


def forget() -> None:
    """Remove what was kept, because the run is complete."""
    FIGURES.unlink(missing_ok=True)


def _read() -> dict[str, list[Figure]]:
    if not FIGURES.exists():
        return {}
    return msgspec.json.decode(FIGURES.read_bytes(), type=dict[str, list[Figure]])
