"""A handle on a stream manager in a process of its own."""

from __future__ import annotations

import json
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from tests.bench.stream.servers import Servers

START_S = 120.0


class Manager:
    """Starts at once; ``usage`` is what the process said about itself last."""

    def __init__(self, servers: Servers, *, writer: int | None = None, **config: Any) -> None:
        self.servers = servers
        self.writer = servers.next_number() if writer is None else writer
        self.buffer = servers.folder / f"buffer-{self.writer}"
        self._config = {
            "servers": servers.kafka,
            "dsn": servers.dsn,
            "buffer": str(self.buffer),
            "writer": self.writer,
            **config,
        }
        self.usage: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        """Start the process, again after ``kill``; ``answer`` tells when it is up."""
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "tests.bench.stream.manager_process", json.dumps(self._config)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process, self._lines), daemon=True).start()

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    def answer(self, timeout: float = START_S) -> dict[str, Any]:
        """The next answer: what the process used."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise SystemExit(f"the manager's process did not answer in {timeout:g} s") from None
        if not line:
            raise SystemExit(f"the manager's process ended with {self.process.wait()}")
        self.usage = json.loads(line)["usage"]
        return self.usage

    def tell(self, do: str, **given: Any) -> None:
        """Give a command without waiting for its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self.process.stdin.flush()

    def ask(self, do: str, timeout: float = START_S, **given: Any) -> dict[str, Any]:
        """Give a command and wait for its end."""
        self.tell(do, **given)
        return self.answer(timeout)

    def feed(
        self, kind: str, name: str, dataset: str, *, batch: int = 1000, **given: Any
    ) -> dict[str, Any]:
        """Start a stream; see tests.bench.stream.feeds for the kinds and what they are given."""
        return self.ask("feed", kind=kind, name=name, dataset=dataset, batch=batch, **given)

    def rss_mb(self) -> float:
        """Resident memory now, read from outside, with that of the process that sends."""
        this = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (this, *this.children())) / 2**20

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def buffer_mb(self) -> float:
        """Size of its segments on disk."""
        return sum(path.stat().st_size for path in self.buffer.glob("*.seg")) / 2**20

    def remove_buffer(self) -> None:
        """Remove what was never meant for Kafka."""
        shutil.rmtree(self.buffer)

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            try:
                self.ask("exit", 20)
                self.process.wait(5)
            except (SystemExit, OSError, subprocess.TimeoutExpired):
                self.kill()


@contextmanager
def running_manager(servers: Servers, **config: Any) -> Iterator[Manager]:
    """A manager on a buffer of its own."""
    manager = Manager(servers, **config)
    try:
        manager.answer()
        yield manager
    finally:
        manager.close()
