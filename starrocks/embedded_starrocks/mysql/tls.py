"""TLS inside a connection that began in clear, as MySQL's protocol upgrades it.

asyncio's own `start_tls` loses what the client has sent behind its request already; so the records
go through memory here.
"""

from __future__ import annotations

import asyncio
import ssl

_PIECE = 1 << 16


class TlsChannel:
    """An encrypted channel over a reader and a writer, from the server's side."""

    def __init__(
        self, tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._channel = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._clear = bytearray()

    async def handshake(self) -> None:
        """Raises EOFError when the client goes away or refuses."""
        while True:
            try:
                self._channel.do_handshake()
                await self._flush()
                return
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            except ssl.SSLError:
                raise EOFError from None

    async def _flush(self) -> None:
        pending = self._outgoing.read()
        if pending:
            self._writer.write(pending)
            await self._writer.drain()

    async def _feed(self) -> None:
        data = await self._reader.read(_PIECE)
        if not data:
            raise EOFError
        self._incoming.write(data)

    async def exactly(self, count: int) -> bytes:
        """So many bytes in clear. Raises EOFError."""
        while len(self._clear) < count:
            try:
                piece = self._channel.read(_PIECE)
                if not piece:
                    raise EOFError
                self._clear += piece
            except ssl.SSLWantReadError:
                await self._feed()
            except ssl.SSLError:
                raise EOFError from None
        taken = bytes(self._clear[:count])
        del self._clear[:count]
        return taken

    def wrapped(self, data: bytes) -> bytes:
        """The records of data to send."""
        parts = []
        for start in range(0, len(data), _PIECE):
            self._channel.write(data[start : start + _PIECE])
            parts.append(self._outgoing.read())
        return b"".join(parts)
