"""A stored file as an answer: whole, in part, or not again."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import Response

from api.formats.answer import StreamAnswer
from api.formats.ranges import Part, part_of
from api.methods import is_head
from api.problems import Problem
from emdata.bulk.manifest import BulkFile
from emdata.bulk.shelf import PIECE, Shelf


async def file_answer(
    request: Request, shelf: Shelf, file: BulkFile, about: Mapping[str, str]
) -> Response:
    """Return a file, the range of it that is asked for, or 304; ``about``: further headers.

    The ETag is the file's SHA-256. Raises Problem ``unavailable`` when it was replaced meanwhile,
    and OSError when the storage cannot be read.
    """
    tag = f'"{file.sha256}"'
    part = part_of(request.headers, file.bytes, tag, is_head=is_head(request))
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    headers = {
        "Content-Type": file.media_type,
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Repr-Digest": f"sha-256=:{digest}:",
        # May be kept, and is asked for again: late rows make a day's files anew.
        "Cache-Control": "no-cache",
        **about,
    }
    if part.status == 304:
        return Response(status_code=304, headers=headers)
    if part.status == 416:
        detail = f"Range: {request.headers['range'][:100]!r}; the file has {file.bytes} bytes"
        at = {"Content-Range": f"bytes */{file.bytes}", "Accept-Ranges": "bytes"}
        raise Problem("bad-range", detail, headers=at, bytes=file.bytes)
    headers["Content-Length"] = str(part.end - part.start)
    if part.status == 206:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.bytes}"
    if is_head(request):
        return Response(status_code=part.status, headers=headers)
    pieces = await _opened(shelf, file, part)
    return StreamAnswer(pieces, part.status, headers)


async def _opened(shelf: Shelf, file: BulkFile, part: Part) -> AsyncIterator[bytes]:
    """Open before the answer begins, so that a file that went is an error and no broken one."""
    path = shelf.path(file.key)
    try:
        if path is None:
            return await shelf.pieces(file.key, part.start, part.end)
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        detail = f"{file.name} was built anew in this moment; ask again"
        raise Problem("unavailable", detail, headers={"Retry-After": "1"}) from None
    return _read(descriptor, part.start, part.end)


async def _read(descriptor: int, start: int, end: int) -> AsyncIterator[bytes]:
    """Yield the bytes of an open file, which stays as it is when its name is gone."""
    try:
        while start < end:
            size = min(PIECE, end - start)
            piece = await asyncio.to_thread(os.pread, descriptor, size, start)
            if not piece:
                raise OSError(f"a stored file ends {end - start} bytes too early")
            start += len(piece)
            yield piece
    finally:
        os.close(descriptor)
