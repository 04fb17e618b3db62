"""One start or stop at a time per home."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emdata.errors import ServiceError


@contextmanager
def platform_lock(home: Path, *, wait: float) -> Iterator[None]:
    """Hold ``<home>/start.lock``; the kernel frees it when the holder dies.

    Raises ServiceError naming the holder after ``wait`` seconds.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "start.lock").open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                    raise ServiceError(
                        f"another start or stop of {home} is under way (pid {holder}); wait for "
                        "it, or use `emdata emergency-stop`"
                    ) from None
                time.sleep(0.2)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
