"""Records as they are accepted: server-sent events, and the same over a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, WebSocket, WebSocketDisconnect
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from api.access.caller import Caller
from api.access.visibility import row_scope, visible, visible_collection
from api.catalog.model import Collection
from api.context import Api, TheApi, TheCaller
from api.problems import Problem
from api.query.model import ItemsQuery
from api.streams.following import Follower
from api.streams.matching import matcher
from api.streams.position import Position
from api.streams.rendering import Renderer, event, message
from api.streams.session import Ending, Form, Session

router = APIRouter(tags=["streams"])
SEND_SECONDS = 30.0
"""A listener that takes nothing for so long is cut off; it resumes by its last event's id."""

Limit = Annotated[int | None, Query(ge=0, le=1_000_000, description="End after so many items")]
Seconds = Annotated[float | None, Query(ge=0, le=86_400, description="End after so long")]
LastEvent = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Resume after this event; browsers send it"),
]


@router.get("/collections/{collection_id}/stream", summary="Records as they are accepted")
async def stream(
    collection_id: str,
    api: TheApi,
    caller: TheCaller,
    limit: Limit = None,
    seconds: Seconds = None,
    last_event_id: LastEvent = None,
) -> Response:
    """Send each record as a GeoJSON feature in an event named ``item``, seconds before it lands."""
    collection = _streamed(api, collection_id, caller)
    start = None if last_event_id is None else Position.parse(last_event_id)
    stack = ExitStack()
    with stack:
        stack.enter_context(api.hub.admitted(caller))
        follower = await api.hub.follow(_topic(collection), start)
        kept = stack.pop_all()
    renderer = Renderer(collection)
    form = Form(renderer.event, event, b"".join)
    session = _session(api, caller, collection, follower, form, Ending(limit, seconds))

    async def events() -> AsyncIterator[bytes]:
        with kept:
            async for part in session.events():
                yield part

    # Its own pings are comments, which a browser's EventSource never shows; ours are events.
    return EventSourceResponse(
        events(), ping=0, send_timeout=SEND_SECONDS, headers={"X-Accel-Buffering": "no"}
    )


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
    collection = _streamed(api, collection_id, caller)
    start = None if last_event_id is None else Position.parse(last_event_id)
    with api.hub.admitted(caller):
        follower = await api.hub.follow(_topic(collection), start)
        await websocket.accept()
        renderer = Renderer(collection)
        form = Form(lambda entry: [renderer.message(entry)], _messages, _joined)
        session = _session(api, caller, collection, follower, form, Ending(limit, seconds))
        try:
            async for texts in session.events():
                for text in texts:
                    await websocket.send_text(text)
            await websocket.close()
        except WebSocketDisconnect:
            return


def _messages(name: str, data: dict[str, Any], position: str) -> list[str]:
    return [message(name, data, position)]


def _joined(parts: list[list[str]]) -> list[str]:
    return [text for part in parts for text in part]


def _streamed(api: Api, collection_id: str, caller: Caller) -> Collection:
    collection = visible_collection(api.catalog, collection_id, caller)
    if collection.record is None:
        streamed = ", ".join(one.id for one in visible(api.catalog, caller) if one.is_dataset)
        raise Problem("not-found", f"{collection.id} is no stream; streams: {streamed}")
    return collection


def _topic(collection: Collection) -> str:
    if collection.record is None:
        raise AssertionError("checked above")
    return collection.record.dataset.topic


def _session(
    api: Api,
    caller: Caller,
    collection: Collection,
    follower: Follower,
    form: Form[Any],
    ending: Ending,
) -> Session[Any]:
    query = ItemsQuery(collection)
    scope = row_scope(collection, caller)
    matches = matcher(collection, (*scope, *query.filters), query.bbox)
    about = {"collection": collection.id, "isSimulated": api.is_simulated}
    return Session(follower, matches, form, ending, about)
