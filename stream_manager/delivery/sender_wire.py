"""What the manager and the process that sends for it tell each other.

Frames over a socket pair: a length of four bytes, little endian, and MessagePack.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

_LENGTH = struct.Struct("<I")
_ENCODER = msgspec.msgpack.Encoder()


class Setup(msgspec.Struct, frozen=True, array_like=True):
    """The first frame to the process: where to send, whose log to read, whose records are ours.

    extra: more settings of the producer. home: as ``Regions`` takes them. level: of its own log.
    """

    servers: str
    extra: dict[str, Any]
    directory: str
    writer: int
    home: tuple[str, ...]
    level: str = "INFO"


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Send these records of one block, in order. positions: None for ``count`` from ``first`` on.

    segment, offset, index: as in ``Place``.
    """

    number: int
    segment: int
    offset: int
    index: int
    priority: int
    first: int
    count: int
    positions: list[int] | None = None


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A record that Kafka gave back: its position, and the KafkaError's code, reason, severity."""

    position: int
    code: int
    reason: str
    is_fatal: bool = False


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """All of an order is reported on. is_readable: False when nothing of it could be read."""

    number: int
    failures: list[Failure] = []
    is_readable: bool = True


SETUPS = msgspec.msgpack.Decoder(Setup)
ORDERS = msgspec.msgpack.Decoder(Order)
ANSWERS = msgspec.msgpack.Decoder(Answer)


def framed(message: Setup | Order | Answer) -> bytes:
    """Return a message as it travels."""
    data = _ENCODER.encode(message)
    return _LENGTH.pack(len(data)) + data


class Inbox:
    """Puts together what arrives in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield the frames that are complete with ``data``."""
        data = self._rest + data if self._rest else data
        at = 0
        while at + _LENGTH.size <= len(data):
            end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
            if end > len(data):
                break
            yield data[at + _LENGTH.size : end]
            at = end
        self._rest = data[at:]
