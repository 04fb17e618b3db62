"""The framing of MySQL's client protocol: packets, length-encoded integers and strings.

Source: MySQL internals manual, "MySQL Packets" and "Protocol Basics".
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time

MAX_PAYLOAD = 0xFFFFFF
_READ_AHEAD = 1 << 16
_LEAST_WAIT = 0.001


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
    """Whole payloads over one blocking connection, with the sequence numbers kept.

    One thread reads and writes; `disconnect` may be called by any.
    """

    def __init__(self, connection: socket.socket, max_bytes: int) -> None:
        self._socket = connection
        self._max_bytes = max_bytes
        self._sequence = 0
        self._unread = bytearray()
        self._reads_ahead = False

    def restart(self) -> None:
        """Each command starts a new count of packets."""
        self._sequence = 0

    def read_ahead(self) -> None:
        """From now on take what has come at once; before TLS nothing may be taken from it."""
        self._reads_ahead = True

    def start_tls(self, tls: ssl.SSLContext, within: float) -> None:
        """Go on encrypted. Raises EOFError when the peer's handshake fails."""
        self._socket.settimeout(within)
        try:
            self._socket = tls.wrap_socket(self._socket, server_side=True)
        except (ConnectionError, ssl.SSLError):
            raise EOFError from None

    def disconnect(self) -> None:
        """End the connection for both sides; whoever reads or writes finds it ended."""
        with contextlib.suppress(OSError):
            # The plain shutdown, also under TLS: another thread may be in the middle of a record.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def read(self, within: float) -> bytes:
        """One payload. Raises ProtocolError, EOFError when the peer is gone, or TimeoutError."""
        deadline = time.monotonic() + within
        parts: list[bytes] = []
        total = 0
        while True:
            header = self._exactly(4, deadline)
            size = int.from_bytes(header[:3], "little")
            if header[3] != self._sequence:
                raise ProtocolError(f"packet {header[3]} came where {self._sequence} was due")
            self._sequence = (self._sequence + 1) & 0xFF
            total += size
            if total > self._max_bytes:
                raise ProtocolError(f"packet larger than {self._max_bytes} bytes")
            parts.append(self._exactly(size, deadline))
            if size < MAX_PAYLOAD:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _exactly(self, count: int, deadline: float) -> bytes:
        unread = self._unread
        while len(unread) < count:
            missing = count - len(unread)
            wanted = _READ_AHEAD if self._reads_ahead else min(missing, _READ_AHEAD)
            self._socket.settimeout(max(deadline - time.monotonic(), _LEAST_WAIT))
            try:
                piece = self._socket.recv(wanted)
            except (ConnectionError, ssl.SSLError):
                raise EOFError from None
            if not piece:
                raise EOFError
            unread += piece
        taken = bytes(unread[:count])
        del unread[:count]
        return taken

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

    def send(self, *payloads: bytes) -> None:
        self.send_raw(b"".join([self.frame(payload) for payload in payloads]))

    def send_raw(self, framed: bytes) -> None:
        """Send what is framed, however slowly the peer reads; EOFError when it is gone."""
        self._socket.settimeout(None)
        try:
            self._socket.sendall(framed)
        except (ConnectionError, ssl.SSLError):
            raise EOFError from None
