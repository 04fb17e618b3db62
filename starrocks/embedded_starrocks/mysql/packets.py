"""The framing of MySQL's client protocol: packets, length-encoded integers and strings.

Source: MySQL internals manual, "MySQL Packets" and "Protocol Basics".
"""

from __future__ import annotations

import asyncio
import ssl
import struct

from embedded_starrocks.mysql.tls import TlsChannel

MAX_PAYLOAD = 0xFFFFFF


class ProtocolError(Exception):
    """The peer does not speak the protocol; the connection ends."""


def lenenc_int(value: int) -> bytes:
    if value < 251:
        return bytes((value,))
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def lenenc_bytes(value: bytes) -> bytes:
    return lenenc_int(len(value)) + value


def lenenc_text(value: str) -> bytes:
    return lenenc_bytes(value.encode("utf-8"))


class PayloadReader:
    """Reads fields off one payload; every short read is a ProtocolError."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if count < 0 or end > len(self._payload):
            raise ProtocolError(f"packet ends {end - len(self._payload)} bytes early")
        taken = self._payload[self._at : end]
        self._at = end
        return taken

    def integer(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def unpack(self, layout: str) -> float | int:
        value: float | int = struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))[
            0
        ]
        return value

    def lenenc_int(self) -> int:
        first = self.integer(1)
        if first < 251:
            return first
        sizes = {0xFC: 2, 0xFD: 3, 0xFE: 8}
        if first not in sizes:
            raise ProtocolError(f"0x{first:02x} does not start a length-encoded integer")
        return self.integer(sizes[first])

    def lenenc_bytes(self) -> bytes:
        return self.take(self.lenenc_int())

    def until_zero(self) -> bytes:
        end = self._payload.find(b"\0", self._at)
        if end < 0:
            raise ProtocolError("string without its closing zero byte")
        taken = self._payload[self._at : end]
        self._at = end + 1
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._payload) - self._at)

    @property
    def remaining(self) -> int:
        return len(self._payload) - self._at


class PacketStream:
    """Whole payloads over one connection, with the sequence numbers kept."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._max_bytes = max_bytes
        self._sequence = 0
        self._tls: TlsChannel | None = None

    def restart(self) -> None:
        """Each command starts a new count of packets."""
        self._sequence = 0

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        """Go on encrypted. Raises EOFError when the peer's handshake fails."""
        channel = TlsChannel(tls, self._reader, self._writer)
        await channel.handshake()
        self._tls = channel

    async def read(self) -> bytes:
        """One payload. Raises ProtocolError, or EOFError when the peer is gone."""
        parts: list[bytes] = []
        total = 0
        while True:
            header = await self._exactly(4)
            size = int.from_bytes(header[:3], "little")
            if header[3] != self._sequence:
                raise ProtocolError(f"packet {header[3]} came where {self._sequence} was due")
            self._sequence = (self._sequence + 1) & 0xFF
            total += size
            if total > self._max_bytes:
                raise ProtocolError(f"packet larger than {self._max_bytes} bytes")
            parts.append(await self._exactly(size))
            if size < MAX_PAYLOAD:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _exactly(self, count: int) -> bytes:
        try:
            if self._tls is not None:
                return await self._tls.exactly(count)
            return await self._reader.readexactly(count)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise EOFError from None

    def frame(self, payload: bytes) -> bytes:
        """The payload as packets on the wire, split at 16 MiB."""
        if len(payload) < MAX_PAYLOAD:
            header = len(payload).to_bytes(3, "little") + bytes((self._sequence,))
            self._sequence = (self._sequence + 1) & 0xFF
            return header + payload
        parts = []
        for start in range(0, len(payload) + 1, MAX_PAYLOAD):
            piece = payload[start : start + MAX_PAYLOAD]
            parts.append(len(piece).to_bytes(3, "little") + bytes((self._sequence,)) + piece)
            self._sequence = (self._sequence + 1) & 0xFF
        return b"".join(parts)

    def frame_all(self, payloads: list[bytes]) -> bytes:
        """Many payloads framed at once; the hot path of result sets."""
        sequence = self._sequence
        parts: list[bytes] = []
        for payload in payloads:
            size = len(payload)
            if size >= MAX_PAYLOAD:
                self._sequence = sequence
                parts.append(self.frame(payload))
                sequence = self._sequence
                continue
            parts.append((size | sequence << 24).to_bytes(4, "little"))
            parts.append(payload)
            sequence = (sequence + 1) & 0xFF
        self._sequence = sequence
        return b"".join(parts)

    async def send(self, *payloads: bytes) -> None:
        await self.send_raw(b"".join([self.frame(payload) for payload in payloads]))

    async def send_raw(self, framed: bytes) -> None:
        try:
            if self._tls is not None:
                framed = self._tls.wrapped(framed)
            self._writer.write(framed)
            await self._writer.drain()
        except ConnectionError:
            raise EOFError from None
