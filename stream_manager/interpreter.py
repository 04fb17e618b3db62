"""How the interpreter is set for processes that move records."""

from __future__ import annotations

import gc
import sys

SWITCH_SECONDS = 0.0005


def tune_interpreter() -> None:
    """Let the garbage collector look seldom, and threads take turns more often.

    Records are freed by their counts, and cycles are few. A CRITICAL record passes three threads;
    at each it would wait 5 ms for a busy one. Called once everything is imported, which lives as
    long as the process.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(SWITCH_SECONDS)
