"""Rows as answers: a page or an item at once, an export as it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from api.formats.model import Document, Format, Row
from emdata.telemetry import get_logger

log = get_logger(__name__)
LINKS_BYTES = 3000
_LEADING = ("next", "prev")
BESIDE_ROWS = 200
"""So many rows take about a millisecond."""


class StreamAnswer(StreamingResponse):
    """Closes what it reads from as soon as the answer ends, however it ends."""

    body_iterator: AsyncIterator[bytes]

    async def stream_response(self, send: Send) -> None:
        """Send the pieces."""
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


def encoded(form: Format, document: Document, rows: Sequence[Row]) -> bytes:
    """Return the whole document, for a page or an item."""
    encoder = form.encoder(document)
    return encoder.begin() + encoder.rows(rows) + encoder.end()


def headers_of(form: Format, document: Document) -> dict[str, str]:
    """Return the headers of a page, an item or an export: what it is, how old, where from, links.

    Links are in ``Link`` (RFC 8288) in every format, as most have no place for them.
    """
    headers = {
        "Content-Type": form.content_type,
        "Vary": "Accept",
        **document.origin.headers(),
    }
    if document.number_matched is not None:
        headers["OGC-NumberMatched"] = str(document.number_matched)
    if document.links:
        headers["Link"] = _links(document.links)
    if form.is_download:
        name = f"{document.collection.id}.{form.suffix}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return headers


def page(form: Format, document: Document, rows: Sequence[Row]) -> Response:
    """Return the answer with a page or an item."""
    headers = headers_of(form, document)
    count = {} if document.is_item else {"OGC-NumberReturned": str(len(rows))}
    return Response(encoded(form, document, rows), headers={**headers, **count})


async def answered(form: Format, document: Document, rows: Sequence[Row]) -> Response:
    """Return the answer with a page or an item; a long one is made beside the event loop."""
    if len(rows) < BESIDE_ROWS:
        return page(form, document, rows)
    return await asyncio.to_thread(page, form, document, rows)


def export(form: Format, document: Document, batches: AsyncIterator[Sequence[Row]]) -> Response:
    """Return the answer that sends rows as they are read."""
    headers = headers_of(form, document)
    return StreamAnswer(streamed(form, document, batches), headers=headers)


async def streamed(
    form: Format, document: Document, batches: AsyncIterator[Sequence[Row]]
) -> AsyncIterator[bytes]:
    """Yield the document piece by piece; one batch more is read than the client has taken.

    When reading ends by an error, what was sent is made unreadable as a whole (``broken``) and the
    error goes on, so that the server breaks the transfer instead of ending it.
    """
    encoder = form.encoder(document)
    count = 0
    try:
        yield encoder.begin()
        async with aclosing(_ahead(batches)) as read:  # type: ignore[type-var]
            async for rows in read:
                count += len(rows)
                # Beside the event loop: a batch takes milliseconds, and others wait for theirs.
                if piece := await asyncio.to_thread(encoder.rows, rows):
                    yield piece
        yield await asyncio.to_thread(encoder.end)
    except Exception as error:
        log.warning(
            "api_export_broken",
            collection=document.collection.id,
            format=form.name,
            rows=count,
            error=str(error)[:300],
        )
        if form.broken:
            yield form.broken
        raise


async def _ahead(batches: AsyncIterator[Sequence[Row]]) -> AsyncIterator[Sequence[Row]]:
    """Yield batches, and read the next one while one is used."""
    async with aclosing(batches):  # type: ignore[type-var]
        following = asyncio.ensure_future(anext(batches, None))
        try:
            while (rows := await following) is not None:
                following = asyncio.ensure_future(anext(batches, None))
                yield rows
        finally:
            following.cancel()
            # Its error, if it had one, is the one that ends this already.
            await asyncio.gather(following, return_exceptions=True)


def _links(links: Sequence[Mapping[str, Any]]) -> str:
    """The value of ``Link``; what leads on comes first, and the rest as far as there is room.

    An address may hold a long filter, and there is a link for every format.
    """
    chosen: list[str] = []
    for one in sorted(links, key=lambda link: link["rel"] not in _LEADING):
        text = _link(one)
        if one["rel"] in _LEADING or sum(map(len, chosen)) + len(text) <= LINKS_BYTES:
            chosen.append(text)
    return ", ".join(chosen)


def _link(one: Mapping[str, Any]) -> str:
    href = str(one["href"]).replace(">", "%3E")
    return f'<{href}>; rel="{one["rel"]}"; type="{one["type"]}"'
