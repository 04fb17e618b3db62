"""``run/state.json``: which services the last start chose and whether it came to its end."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class StartState:
    """``chosen`` are service names; ``seconds`` is the time to ready of the last whole start."""

    chosen: tuple[str, ...]
    is_ready: bool
    started_at: str
    seconds: float = 0.0


def read_state(run: Path) -> StartState | None:
    """The state of the last start; None when there was none or the file cannot be used."""
    try:
        values = json.loads((run / "state.json").read_text(encoding="utf-8"))
        return StartState(
            chosen=tuple(str(name) for name in values["chosen"]),
            is_ready=bool(values["is_ready"]),
            started_at=str(values["started_at"]),
            seconds=float(values["seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(run: Path, state: StartState) -> None:
    """Write the state in one step."""
    scratch = run / "state.json.new"
    scratch.write_text(json.dumps(asdict(state)), encoding="utf-8")
    os.replace(scratch, run / "state.json")


def clear_state(run: Path) -> None:
    """Forget the last start."""
    (run / "state.json").unlink(missing_ok=True)
