"""Items of a collection, one item by its key, and all versions of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access.caller import Caller
from api.access.visibility import row_scope, visible_collection
from api.catalog.model import Collection
from api.context import Api, TheApi, TheCaller
from api.fairness.cost import refuse_expensive
from api.formats.answer import answered
from api.formats.areas import with_areas
from api.formats.model import Document, Format
from api.formats.negotiate import formats_of, negotiate
from api.formats.origin import origin_of
from api.links import base_url, item_path, link, with_parameters
from api.problems import Problem
from api.query.cursor import cursor_of
from api.query.keys import key_filters, no_item
from api.query.model import Filter, Statement
from api.query.openapi import (
    ITEM_PARAMETERS,
    ITEM_RESPONSES,
    ITEMS_PARAMETERS,
    ITEMS_RESPONSES,
    VERSIONS_PARAMETERS,
)
from api.query.parameters import Asked, asked_of, asked_of_item, asked_of_versions
from api.query.statement import (
    count_statement,
    items_statement,
    order_values,
    quick_page,
    quick_statement,
)
from api.reading.reader import Row
from api.usage.notes import note

router = APIRouter(tags=["items"])
VERSIONS = "/versions"


@router.get(
    "/collections/{collection_id}/items",
    summary="Items of a collection",
    response_class=Response,
    responses=ITEMS_RESPONSES,
    openapi_extra={"parameters": ITEMS_PARAMETERS},
)
async def items(collection_id: str, request: Request, api: TheApi, caller: TheCaller) -> Response:
    """Return a page of items; ``next`` links lead to all of them.

    A property's name is a parameter too, such as ``severity=Severe``; given several times, any of
    the values will do. Pages by key hold every item that is there all the while exactly once, also
    while others arrive. In another order, an item whose values change meanwhile may come twice or
    not at all; ``as_of`` holds a dataset still.
    """
    collection = visible_collection(api.catalog, collection_id, caller)
    form = negotiate(request, formats_of(collection))
    given = request.query_params.multi_items()
    asked = asked_of(collection, given, most=caller.policy.rows_per_page)
    refuse_expensive(asked.query, caller.policy)
    here = _Request(request, api, caller, f"/collections/{collection.id}/items", form)
    return await api.answers.get(
        request, caller, collection, lambda: _page(here, asked), form=form.name
    )


@router.get(
    "/collections/{collection_id}/items/{key:path}/versions",
    summary="All versions of one item",
    response_class=Response,
    responses=ITEMS_RESPONSES,
    openapi_extra={"parameters": VERSIONS_PARAMETERS},
)
async def versions(
    collection_id: str, key: str, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Return every version of a dataset's item that was accepted, newest first."""
    if not _ends_with_versions(request):
        return await item(collection_id, key + VERSIONS, request, api, caller)
    collection = visible_collection(api.catalog, collection_id, caller)
    if not collection.is_dataset:
        detail = f"{collection.id} keeps no versions; datasets do, and marts with history say so"
        raise Problem("not-found", detail)
    form = negotiate(request, formats_of(collection))
    most = caller.policy.rows_per_page
    given = request.query_params.multi_items()
    asked = asked_of_versions(collection, key_filters(collection, key), given, most=most)
    here = _Request(request, api, caller, item_path(collection.id, key) + VERSIONS, form)
    return await api.answers.get(
        request, caller, collection, lambda: _page(here, asked, key), form=form.name
    )


@router.get(
    "/collections/{collection_id}/items/{key:path}",
    summary="One item",
    response_class=Response,
    responses=ITEM_RESPONSES,
    openapi_extra={"parameters": ITEM_PARAMETERS},
)
async def item(
    collection_id: str, key: str, request: Request, api: TheApi, caller: TheCaller
) -> Response:
    """Return one item by its id: the collection's key fields joined by ``|``."""
    collection = visible_collection(api.catalog, collection_id, caller)
    form = negotiate(request, formats_of(collection, is_item=True))
    given = request.query_params.multi_items()
    asked = asked_of_item(collection, key_filters(collection, key), given)
    here = _Request(request, api, caller, item_path(collection.id, key), form)
    return await api.answers.get(
        request, caller, collection, lambda: _item(here, asked, key), form=form.name
    )


class _Request:
    """One request, with what its answer is made of."""

    def __init__(self, request: Request, api: Api, caller: Caller, path: str, form: Format) -> None:
        self.api, self.caller, self.path, self.form = api, caller, path, form
        self.request = request
        self._base = base_url(request, api.settings)

    async def read(self, statement: Statement) -> list[Row]:
        """Return the rows, within what the caller may take of StarRocks' time."""
        policy = self.caller.policy
        return await self.api.reader.rows(
            statement, seconds=policy.query_seconds, priority=policy.priority
        )

    async def document(
        self,
        asked: Asked,
        statement: Statement,
        links: Sequence[dict[str, Any]],
        *,
        is_item: bool = False,
        number_matched: int | None = None,
    ) -> Document:
        """Return what is around the rows."""
        return Document(
            asked.query.collection,
            statement.columns,
            await origin_of(self.api, asked.query.collection),
            self.api.clock.now(),
            shown=asked.query.properties,
            links=links,
            number_matched=number_matched,
            is_item=is_item,
        )

    def link(
        self, kind: str, relation: str, path: str, given: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Any]:
        """Return a link to a path of this API."""
        return link(with_parameters(self._base + path, given), relation, kind or "application/json")

    def links(
        self, asked: Asked, cursor: str | None = None, *, is_item: bool = False
    ) -> list[dict[str, Any]]:
        """Return links to this document, its other formats and the page behind it."""
        kind = self.form.media_types[0]
        made = [self.link(kind, "self", self.path, asked.given)]
        plain = asked.given_without("f")
        for other in formats_of(asked.query.collection, is_item=is_item):
            if other.name != self.form.name:
                there = (*plain, ("f", other.name))
                made.append(self.link(other.media_types[0], "alternate", self.path, there))
        if cursor is not None:
            there = (*asked.given_without("cursor"), ("cursor", cursor))
            made.append(self.link(kind, "next", self.path, there))
        return made


async def _item(here: _Request, asked: Asked, key: str) -> Response:
    collection: Collection = asked.query.collection
    statement = items_statement(asked.query, row_scope(collection, here.caller))
    rows = await here.read(statement)
    if not rows:
        raise no_item(collection, key)
    links = [
        *here.links(asked, is_item=True),
        here.link("", "collection", f"/collections/{collection.id}"),
    ]
    if collection.is_dataset:
        links.append(here.link("", "version-history", here.path + VERSIONS))
    document = await here.document(asked, statement, links, is_item=True)
    document = await with_areas(here.api, here.caller, here.form, document, rows[0])
    note(here.request, rows=1)
    return await answered(here.form, document, rows[:1])


async def _page(here: _Request, asked: Asked, key: str | None = None) -> Response:
    query = asked.query
    collection: Collection = query.collection
    scope = row_scope(collection, here.caller)
    statement, rows = await _read_page(here, asked, scope)
    limit = len(rows) if query.limit is None else query.limit
    shown, has_more = rows[:limit], len(rows) > limit
    if key is not None and not shown and query.after is None:
        raise no_item(collection, key)
    matched: int | None = None
    if query.after is None and not has_more:
        matched = len(shown)
    elif asked.is_counted:
        matched = int((await here.read(count_statement(query, scope)))[0][0])
    cursor = cursor_of(query, order_values(query, statement, shown[-1])) if has_more else None
    links = [
        *here.links(asked, cursor),
        here.link("", "collection", f"/collections/{collection.id}"),
    ]
    document = await here.document(asked, statement, links, number_matched=matched)
    note(here.request, rows=len(shown))
    return await answered(here.form, document, shown)


async def _read_page(
    here: _Request, asked: Asked, scope: Sequence[Filter]
) -> tuple[Statement, list[Row]]:
    quick = quick_statement(asked.query, scope)
    if quick is not None:
        rows = quick_page(asked.query, await here.read(quick))
        if rows is not None:
            return quick, rows
    statement = items_statement(asked.query, scope)
    return statement, await here.read(statement)


def _ends_with_versions(request: Request) -> bool:
    """A key may end so too, with its slash escaped; then the path as sent tells them apart."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.endswith(VERSIONS.encode())
