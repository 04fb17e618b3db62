"""A request's body: one object, an array of them, or one a line."""

from __future__ import annotations

import msgspec
from fastapi import Request

from api.problems import Problem

MAX_BYTES = 8 << 20
MAX_ITEMS = 10_000
JSON, NDJSON = "application/json", "application/x-ndjson"
_LINES = frozenset({NDJSON, "application/ndjson", "application/jsonl"})


async def rows_of(request: Request) -> tuple[list[msgspec.Raw], bool]:
    """Return the items' JSON, and whether the body is one object and no list.

    Raises Problem for a body that is too large, of another media type, or none of the three.
    """
    kind = request.headers.get("content-type", JSON).split(";")[0].strip().lower()
    if kind != JSON and kind not in _LINES:
        raise Problem(
            "unsupported-media-type",
            f"Content-Type: {kind[:100]!r} cannot be used; allowed: {JSON}, {NDJSON}",
        )
    body = await _bytes(request)
    is_single = False
    if kind in _LINES:
        rows = [msgspec.Raw(line) for line in body.split(b"\n") if line.strip()]
    else:
        is_single = body.lstrip()[:1] == b"{"
        rows = [msgspec.Raw(body)] if is_single else _array(body)
    if not rows or len(rows) > MAX_ITEMS:
        detail = f"body: {len(rows)} items; allowed: 1 to {MAX_ITEMS} a request"
        raise Problem("too-large" if rows else "bad-body", detail)
    return rows, is_single


def _array(body: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        detail = f"body: {error}; allowed: an object, an array of objects, or {NDJSON}"
        raise Problem("bad-body", detail) from None


async def _bytes(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BYTES:
            raise Problem("too-large", f"body: more than {MAX_BYTES} bytes a request")
        chunks.append(chunk)
    return b"".join(chunks)
