"""Two managers over one buffer, as processes of their own, and a client of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.platform import Platform
from tests.support.ports import free_ports
from tests.support.posting import post_rows
from tests.support.waiting import wait_for

FEMA = "fema_disaster_declarations"


@dataclass
class Manager:
    """One manager's process; ``log`` holds what it printed."""

    platform: Platform
    port: int
    is_standby: bool
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "runtime", "manager", "run"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(["--standby"] if self.is_standby else [])],
                env={
                    **self.platform.environment,
                    "EMDATA_MANAGER_PORT": str(self.port),
                    **self.environment,
                },
                cwd=self.platform.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def status(self) -> dict[str, Any]:
        """Its own account; empty while it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/status", timeout=1
            ) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            return {}

    def account(self) -> dict[str, Any]:
        """Its own account; waits until it answers."""
        return wait_for(self.status, 60, f"port {self.port} to answer")

    @property
    def role(self) -> str:
        """What it says it is; empty while it does not answer."""
        return str(self.status().get("high_availability", {}).get("role", ""))

    def wait_role(self, role: str, timeout: float = 90) -> None:
        """Wait until it says that it is active, or standby."""
        try:
            wait_for(lambda: self.role == role, timeout, f"port {self.port} to be {role}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.process.pid, number)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def end(self) -> None:
        """Kill it, stopped or not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(10)


@dataclass
class Client:
    """Posts batches to the first manager that takes them; remembers what was acknowledged."""

    platform: Platform
    ports: list[int]
    first: int
    acknowledged: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def post(self, port: int, rows: list[dict[str, Any]], timeout: float = 1.0) -> int:
        """Post rows once; returns the status, 0 when there was no answer."""
        status = post_rows(self.platform, FEMA, rows, port=port, timeout=timeout)
        if status != 200:
            return status
        self.acknowledged += [f"{row['disaster_number']}|{row['place_code']}" for row in rows]
        self.times.append(time.monotonic())
        return 200

    def run(self) -> None:
        """Post until told, each batch to whoever takes it."""
        number = self.first
        while not self.done.wait(0.01):
            number += 1
            rows = [row(number, place) for place in range(20)]
            self.ports.sort(key=lambda port: self.post(port, rows) != 200)

    def wait_more(self, count: int = 100, timeout: float = 30) -> None:
        """Wait until more is acknowledged."""
        have = len(self.acknowledged)
        wait_for(lambda: len(self.acknowledged) >= have + count, timeout, "more acknowledgments")

    def longest_gap(self, since: float) -> float:
        """The longest time without an acknowledgment since a moment, in seconds."""
        times = [since, *(at for at in self.times if at > since)]
        return max(after - before for before, after in pairwise(times))


def row(number: int, place: int) -> dict[str, Any]:
    """A record as the ingest endpoint takes it."""
    return {
        "disaster_number": number,
        "place_code": str(place),
        "declared_on": "2026-01-01",
        "refreshed_at": "2026-01-01T00:00:00Z",
    }


@dataclass
class Pair:
    """An active manager, a standby, and a client."""

    active: Manager
    standby: Manager
    client: Client


@contextmanager
def running_pair(platform: Platform, writer: int, **environment: str) -> Iterator[Pair]:
    """A pair with a writer number, and so a buffer, of its own; nothing is left running."""
    ports = free_ports(2)
    settings = {"EMDATA_WRITER": str(writer), "EMDATA_LEASE_SECONDS": "1.5", **environment}
    active, standby = (
        Manager(platform, port, is_standby, platform.home / f"manager-{port}.log", settings)
        for port, is_standby in zip(ports, (False, True), strict=True)
    )
    client = Client(platform, list(ports), first=writer * 100_000)
    thread = threading.Thread(target=client.run)
    active.start()
    try:
        active.wait_role("active")
        standby.start()
        standby.wait_role("standby")
        thread.start()
        client.wait_more()
        yield Pair(active, standby, client)
    finally:
        client.done.set()
        if thread.is_alive():
            thread.join()
        for manager in (active, standby):
            if hasattr(manager, "process"):
                manager.end()
