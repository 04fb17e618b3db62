"""All items that match, in one answer, as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access.caller import Caller
from api.access.visibility import row_scope, visible_collection
from api.context import Api, TheApi, TheCaller
from api.formats.answer import export, headers_of
from api.formats.model import Document, Row
from api.formats.negotiate import FORMATS, formats_of, negotiate
from api.formats.origin import origin_of
from api.links import base_url, link
from api.methods import is_head, without_body
from api.problems import Problem, documented
from api.query.model import Filter, ItemsQuery
from api.query.openapi import ITEMS_PARAMETERS
from api.query.parameters import PAGED, asked_of
from api.query.statement import count_statement, items_statement
from api.usage.notes import note

router = APIRouter(tags=["items"])
_PROBLEMS = documented(
    "bad-parameter", "not-found", "not-acceptable", "too-expensive", "timed-out", "unavailable"
)
_OBJECTS = ("application/geo+json", "application/json")
_CONTENT: dict[str, Any] = {
    one.media_types[0]: {
        "schema": (
            {"type": "object"}
            if one.media_types[0] in _OBJECTS
            else {"type": "string", "format": "binary"}
        )
    }
    for one in FORMATS
    if one.is_streaming
}
_PARAMETERS = [one for one in ITEMS_PARAMETERS if one["name"] not in PAGED]


@router.get(
    "/collections/{collection_id}/export",
    summary="All items that match",
    response_class=Response,
    responses={
        200: {"description": "The items, as they are read", "content": _CONTENT},
        **_PROBLEMS,
    },
    openapi_extra={"parameters": _PARAMETERS},
)
async def export_items(
    collection_id: str, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Return every item that matches, without pages; filters are those of ``items``.

    More items than the caller may export at once are refused before the first is sent. If reading
    fails later, the transfer is broken off and the file cannot be read as a whole one. Items come
    in no particular order unless ``sortby`` is given.
    """
    collection = visible_collection(api.catalog, collection_id, caller)
    form = negotiate(request, formats_of(collection, is_export=True))
    given = request.query_params.multi_items()
    asked = asked_of(collection, given, without=PAGED)
    query, scope = asked.query, row_scope(collection, caller)
    if not any(name == "sortby" for name, _ in given):
        query = replace(query, order=())
    matched = await _checked(api, query, scope, caller)
    most = caller.policy.rows_per_export
    statement = items_statement(replace(query, limit=most), scope)
    here = f"{base_url(request, api.settings)}/collections/{collection.id}"
    document = Document(
        collection=collection,
        layout=statement.columns,
        origin=await origin_of(api, collection),
        at=api.clock.now(),
        shown=query.properties,
        links=(
            link(f"{here}/export?{request.url.query}".rstrip("?"), "self", form.media_types[0]),
            link(here, "collection"),
        ),
        number_matched=matched,
    )
    if is_head(request):
        return without_body(headers_of(form, document))
    batches = api.reader.stream(
        statement, seconds=caller.policy.export_seconds, priority=caller.policy.priority
    )
    noted = _noted(request, form.name, _at_most(batches, most))
    return export(form, document, await _started(noted))


async def _checked(
    api: Api, query: ItemsQuery, scope: Sequence[Filter], caller: Caller
) -> int | None:
    """Count where there may be too many: a table with fewer rows than are allowed has not.

    Raises Problem ``too-expensive``.
    """
    most, seconds = caller.policy.rows_per_export, caller.policy.query_seconds
    all_rows = ItemsQuery(
        query.collection, limit=None, has_all_versions=query.collection.is_dataset
    )
    ((highest,),) = await api.reader.rows(
        count_statement(all_rows, scope), seconds=seconds, priority=caller.policy.priority
    )
    if int(highest) <= most:
        return None
    ((matched,),) = await api.reader.rows(
        count_statement(query, scope), seconds=seconds, priority=caller.policy.priority
    )
    if int(matched) > most:
        detail = (
            f"{matched} items match, {most} may be exported at once; narrow the filters, such as "
            "datetime, state or county, or take whole days from /bulk"
        )
        raise Problem("too-expensive", detail, numberMatched=int(matched), allowed=most)
    return int(matched)


async def _at_most(
    batches: AsyncIterator[Sequence[Row]], most: int
) -> AsyncIterator[Sequence[Row]]:
    """Yield the rows; more than were counted are an error, never a quiet end."""
    count = 0
    async with aclosing(batches):  # type: ignore[type-var]
        async for rows in batches:
            count += len(rows)
            if count > most:
                raise Problem("too-expensive", f"more than {most} items came while it was read")
            yield rows


async def _noted(
    request: Request, name: str, batches: AsyncIterator[Sequence[Row]]
) -> AsyncIterator[Sequence[Row]]:
    """Yield the rows, and count them for the caller's usage as they are sent."""
    note(request, format=name)
    async with aclosing(batches):  # type: ignore[type-var]
        async for rows in batches:
            note(request, rows=len(rows))
            yield rows


async def _started(batches: AsyncIterator[Sequence[Row]]) -> AsyncIterator[Sequence[Row]]:
    """Read the first batch, so that an error before it is still an answer of its own."""
    first = await anext(batches, None)

    async def all_of_them() -> AsyncIterator[Sequence[Row]]:
        async with aclosing(batches):  # type: ignore[type-var]
            if first is not None:
                yield first
            async for rows in batches:
                yield rows

    return all_of_them()
