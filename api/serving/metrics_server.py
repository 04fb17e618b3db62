"""Prometheus metrics on a port of their own, which no proxy of the public one reaches.

With several workers each writes its values to files (Prometheus' multiprocess mode), and the
parent process adds them up; what a worker counted outlives it, its gauges do not.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Metric, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from emdata.errors import ServiceError

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_LIVE = re.compile(r"gauge_live\w*_(\d+)\.db")


def share_metrics(folder: Path) -> None:
    """Have the processes that this one starts write their metrics to a folder, emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[VARIABLE] = str(folder)


def serve_metrics(host: str, port: int, folder: Path | None) -> Callable[[], None]:
    """Serve in a thread; returns what ends it. ``folder`` None: this process's own metrics.

    Raises ServiceError for a port that is taken.
    """
    registry = REGISTRY
    if folder is not None:
        registry = CollectorRegistry()
        registry.register(_Shared(folder))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ServiceError(f"metrics of the API on {host}:{port}: {error}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)

    return stop


class _Shared(Collector):
    """All workers' metrics; gauges of those that are gone are removed first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._collector: Any = MultiProcessCollector(
            CollectorRegistry(),  # type: ignore[no-untyped-call]
            str(folder),
        )

    def collect(self) -> Iterable[Metric]:
        """Return the sums of now."""
        for file in self._folder.glob("gauge_live*.db"):
            match = _LIVE.fullmatch(file.name)
            if match is not None and not Path("/proc", match[1]).exists():
                mark_process_dead(int(match[1]), str(self._folder))  # type: ignore[no-untyped-call]
        found: Iterable[Metric] = self._collector.collect()
        return found
