"""Records as they are accepted: server-sent events, and the same over a WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, WebSocket, WebSocketDisconnect
from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.access.caller import Caller
from api.access.visibility import row_scope, visible, visible_collection
from api.context import Api, TheApi, TheCaller
from api.methods import is_head, without_body
from api.problems import Problem, documented
from api.query.model import ItemsQuery
from api.query.openapi import ITEMS_PARAMETERS
from api.query.parameters import asked_of
from api.streams.following import Follower
from api.streams.matching import matcher
from api.streams.position import Position
from api.streams.rendering import Renderer, event, message
from api.streams.session import Ending, Form, Session

router = APIRouter(tags=["streams"])
EVENTS = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SEND_SECONDS = 30.0
"""A listener that takes nothing for so long is cut off; it resumes by its last event's id."""
ONLY_TABLES = frozenset(
    {"datetime", "sortby", "cursor", "as_of", "count", "limit", "lang", "f", "crs"}
)
"""What items are asked by and streams are not."""
OURS = frozenset({"limit", "seconds", "last-event-id"})

Limit = Annotated[int | None, Query(ge=0, le=1_000_000, description="End after so many items")]
Seconds = Annotated[float | None, Query(ge=0, le=86_400, description="End after so long")]
LastEvent = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Resume after this event; browsers send it"),
]


PARAMETERS = [one for one in ITEMS_PARAMETERS if one["name"] not in ONLY_TABLES]
EXAMPLE = (
    'id: 0:41\nevent: open\ndata: {"collection":"nws_alerts","isSimulated":false}\n\n'
    'id: 0:42\nevent: item\ndata: {"type":"Feature", ...}\n\n'
)
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events: open, item, heartbeat, status, gap, end",
        "content": {
            # OpenAPI 3.1 cannot say what one event is; docs/api/streams.md does.
            EVENTS: {"examples": {"a": {"value": EXAMPLE}}}
        },
    },
    **documented("bad-parameter", "not-found", "too-many-requests", "unavailable"),
}


@router.get(
    "/collections/{collection_id}/stream",
    summary="Records as they are accepted",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"parameters": PARAMETERS},
)
async def stream(
    request: Request,
    collection_id: str,
    api: TheApi,
    caller: TheCaller,
    limit: Limit = None,
    seconds: Seconds = None,
    last_event_id: LastEvent = None,
) -> Response:
    """Send each record as a GeoJSON feature in an event named ``item``, seconds before it lands."""
    query = _asked(api, collection_id, caller, request.query_params.multi_items())
    start = None if last_event_id is None else Position.parse(last_event_id)
    if is_head(request):
        return without_body({"Content-Type": EVENTS, **HEADERS})
    return _Stream(api, caller, query, start, Ending(limit, seconds))


@router.websocket("/collections/{collection_id}/socket")
async def socket(
    websocket: WebSocket,
    collection_id: str,
    api: TheApi,
    caller: TheCaller,
    limit: Limit = None,
    seconds: Seconds = None,
    last_event_id: Annotated[str | None, Query(alias="last-event-id")] = None,
) -> None:
    """As ``stream``; each message is ``{"event", "id", "data"}``."""
    query = _asked(api, collection_id, caller, websocket.query_params.multi_items())
    start = None if last_event_id is None else Position.parse(last_event_id)
    with api.hub.admitted(caller):
        follower = await api.hub.follow(_topic(query), start)
        await websocket.accept()
        renderer = Renderer(query.collection, query.properties)
        form = Form(lambda entry: [renderer.message(entry)], _messages, _joined)
        session = _session(api, caller, query, follower, form, Ending(limit, seconds))
        try:
            async for texts in session.events():
                for text in texts:
                    await websocket.send_text(text)
            await websocket.close()
        except WebSocketDisconnect:
            return


class _Stream(Response):
    """Events of a listener, who is counted and follows from when they are sent until they end."""

    def __init__(
        self, api: Api, caller: Caller, query: ItemsQuery, start: Position | None, ending: Ending
    ) -> None:
        super().__init__()
        self._api, self._caller, self._query = api, caller, query
        self._start, self._ending = start, ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them. Raises Problem before the first is sent."""
        api, query = self._api, self._query
        with api.hub.admitted(self._caller):
            follower = await api.hub.follow(_topic(query), self._start)
            renderer = Renderer(query.collection, query.properties)
            form = Form(renderer.event, event, b"".join)
            session = _session(api, self._caller, query, follower, form, self._ending)
            async with aclosing(session.events()) as events:
                # Its own pings are comments, which a browser's EventSource never shows; ours are
                # events.
                answer = EventSourceResponse(
                    events, ping=0, send_timeout=SEND_SECONDS, headers=HEADERS
                )
                await answer(scope, receive, send)


def _messages(name: str, data: dict[str, Any], position: str) -> list[str]:
    return [message(name, data, position)]


def _joined(parts: list[list[str]]) -> list[str]:
    return [text for part in parts for text in part]


def _asked(
    api: Api, collection_id: str, caller: Caller, given: Sequence[tuple[str, str]]
) -> ItemsQuery:
    """Return the conditions: those of items, but for what only a table can answer."""
    collection = visible_collection(api.catalog, collection_id, caller)
    if collection.record is None:
        streamed = ", ".join(one.id for one in visible(api.catalog, caller) if one.is_dataset)
        raise Problem("not-found", f"{collection.id} is no stream; streams: {streamed}")
    return asked_of(collection, given, without=ONLY_TABLES, others=OURS).query


def _topic(query: ItemsQuery) -> str:
    if query.collection.record is None:
        raise AssertionError("checked above")
    return query.collection.record.dataset.topic


def _session(
    api: Api,
    caller: Caller,
    query: ItemsQuery,
    follower: Follower,
    form: Form[Any],
    ending: Ending,
) -> Session[Any]:
    collection = query.collection
    conditions = (*row_scope(collection, caller), *query.filters, query.bbox, query.where)
    matches = matcher(collection, [one for one in conditions if one is not None])
    about = {"collection": collection.id, "isSimulated": api.is_simulated}
    return Session(follower, matches, form, ending, about)
