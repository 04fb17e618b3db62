"""A real MQTT broker (Mosquitto) in a directory of its own, and a sender of messages."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.ports import free_ports
from tests.support.programs import find_program
from tests.support.waiting import wait_for


@dataclass
class Mosquitto:
    """``extra`` are lines of its configuration, such as for TLS or a password file."""

    folder: Path
    extra: Sequence[str] = ()
    port: int = field(default_factory=lambda: free_ports(1)[0])
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens; sessions and messages of before are there again."""
        config = self.folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "user root",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_inflight_messages 500",
            "max_queued_messages 0",
            *self.extra,
        ]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = find_program("mosquitto") or "mosquitto"
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
        wait_for(self._listens, 20, "mosquitto to listen")

    def stop(self) -> None:
        """Stop it as an operator does: it saves its sessions."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "mosquitto.log").read_text(encoding="utf-8", errors="replace")

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_broker(folder: Path, extra: Sequence[str] = ()) -> Iterator[Mosquitto]:
    """A started broker, stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    broker = Mosquitto(folder, extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Sender:
    """A device: publishes at QoS 1 and knows what the broker confirmed; reconnects by itself."""

    def __init__(self, port: int, name: str = "device") -> None:
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.max_inflight_messages_set(200)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish
        self._sent = self._confirmed = 0
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Hand one message over; without a connection it waits for the next one."""
        self._sent += 1
        self._client.publish(topic, payload, qos=qos, retain=retain)

    def wait_confirmed(self, timeout: float = 60) -> None:
        """Wait until the broker has confirmed every message."""
        wait_for(lambda: self._confirmed >= self._sent, timeout, "the broker's PUBACKs")

    def _on_publish(self, *_arguments: Any) -> None:
        self._confirmed += 1

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def sender(port: int, name: str = "device") -> Iterator[Sender]:
    """A sender, disconnected at the end."""
    made = Sender(port, name)
    try:
        yield made
    finally:
        made.close()
