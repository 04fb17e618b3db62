"""The servers of the benchmarks: PostgreSQL under the platform, a broker that may be killed."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runtime.services.base import NotReady
from runtime.tasks import state_dsn
from tests.support.platform import Platform, running_platform

READY_S = 60.0


@dataclass
class Broker:
    """The platform's Kafka, not supervised, so that it stays away when it is killed."""

    platform: Platform
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it knows its controller."""
        if self.process is not None and self.process.poll() is None:
            return
        service = self.platform.services["kafka"]
        service.prepare()
        log = self.platform.home / "kafka.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                service.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        while True:
            try:
                service.probe()
                return
            except NotReady as error:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f"the broker did not start ({error}); see {log}") from error
                time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
                self.process = None
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class Servers:
    """Addresses, a broker, a directory, and numbers for writers and datasets that nobody used."""

    platform: Platform
    broker: Broker
    folder: Path
    _last: list[int] = field(default_factory=lambda: [100])

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap servers."""
        return self.platform.settings.kafka_servers

    @property
    def dsn(self) -> str:
        """SQLAlchemy's address of the state."""
        return state_dsn(self.platform.context)

    def next_number(self) -> int:
        """A number for a new writer or dataset."""
        self._last[0] += 1
        return self._last[0]


@contextmanager
def running_servers() -> Iterator[Servers]:
    """PostgreSQL and Kafka in a temporary home, stopped and removed at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="emdata-bench-") as folder,
        running_platform("postgres") as platform,
    ):
        broker = Broker(platform)
        try:
            broker.start()
            yield Servers(platform, broker, Path(folder))
        finally:
            broker.stop()
