"""Answers by what was asked, what the caller may see, and the version of the data.

    return await api.answers.get(request, caller, collection, make, form=form.name)

Routes call it behind ``visible_collection``, so that what is audited stays audited. A kept answer
is at most as old as the versions are (``api.reading.versions``): some seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from api import metrics
from api.access.caller import Caller
from api.access.visibility import row_scope
from api.caching.flights import Flights
from api.caching.leaving import while_wanted
from api.caching.store import Kept, Store
from api.catalog.model import Collection
from api.reading.versions import Versions
from api.usage.notes import notes_of

DEFAULT_BYTES = 64 << 20
PLACE = "cached"
"""Where a request's state holds the Mark of its answer."""
_NOT_CHANGED = 304
# Of these a 304 has what its answer would have (RFC 9110, section 15.4.5).
_OF_304 = (b"etag", b"cache-control", b"vary", b"content-location", b"expires", b"date", b"link")
_EMDATA = b"emdata-"


@dataclass(frozen=True, slots=True)
class Mark:
    """An answer that may be kept as it goes out. collection: whose version it follows."""

    collection: str
    token: str
    etag: bytes


class Answers:
    """Makes each answer once for a version of its data. Of one event loop."""

    def __init__(self, versions: Versions, most_bytes: int = DEFAULT_BYTES) -> None:
        self.versions, self.store = versions, Store(most_bytes)
        self._flights: Flights[Kept] = Flights()

    async def get(
        self,
        request: Request,
        caller: Caller,
        collection: Collection,
        make: Callable[[], Awaitable[Response]],
        *,
        form: str,
    ) -> Response:
        """Return the answer, made by ``make`` unless one of this version is there; or 304.

        collection: as the caller sees it, from ``visible_collection``. form: the format's name.
        Only answers with status 200 are kept. ``make`` runs once for all who ask at the same time.
        """
        version = self.versions.of(collection.id)
        if version is None:
            return await make()
        key = _key(request, caller, collection, form)
        etag = _etag(key, version.token)
        if is_known(request.headers.get("if-none-match"), etag):
            metrics.CACHE.labels("known").inc()
            return Response(status_code=_NOT_CHANGED, headers=_control(caller, etag))
        kept = self.store.get(key, version.token)
        if kept is None:
            metrics.CACHE.labels("miss").inc()
            flight = (key, version.token)
            kept = await while_wanted(
                request,
                self._flights.do(
                    flight, lambda: self._made(request, key, version.token, etag, make)
                ),
            )
        else:
            metrics.CACHE.labels("hit").inc()
        return self._response(request, caller, collection, kept)

    async def _made(
        self,
        request: Request,
        key: Hashable,
        token: str,
        etag: str,
        make: Callable[[], Awaitable[Response]],
    ) -> Kept:
        response = await make()
        notes = notes_of(request.scope)
        kept = Kept(
            token=token,
            etag=etag.encode(),
            status=response.status_code,
            headers=tuple(response.raw_headers),
            body=bytes(response.body),
            rows=notes.rows,
            format=notes.format,
        )
        if response.status_code == 200:
            self.store.put(key, kept)
        return kept

    def _response(
        self, request: Request, caller: Caller, collection: Collection, kept: Kept
    ) -> Response:
        notes = notes_of(request.scope)
        notes.rows, notes.format = kept.rows, kept.format or notes.format
        response = Response(kept.body, kept.status)
        response.raw_headers = list(kept.headers)
        if kept.status != 200:
            return response
        response.headers.update(_control(caller, kept.etag.decode()))
        if not caller.reads:
            request.scope["state"][PLACE] = Mark(collection.id, kept.token, kept.etag)
        return response


def is_known(given: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names an ETag; compared weakly (RFC 9110, section 13.1.2)."""
    if not given:
        return False
    if given.strip() == "*":
        return True
    plain = etag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == plain for one in given.split(","))


def not_changed(kept: Kept) -> list[tuple[bytes, bytes]]:
    """Return the headers of a 304 in the place of an answer."""
    return [
        (name, value) for name, value in kept.headers if name in _OF_304 or name.startswith(_EMDATA)
    ]


def _key(request: Request, caller: Caller, collection: Collection, form: str) -> Hashable:
    """What was asked, and all of the caller that an answer depends on."""
    # The path as it was sent: an escaped slash is none.
    path = request.scope.get("raw_path") or request.url.path
    return (
        form,
        f"{request.url.scheme}://{request.url.netloc}",
        path,
        tuple(sorted(request.query_params.multi_items())),
        collection.id,
        tuple(one.name for one in collection.properties),
        row_scope(collection, caller),
        caller.policy.rows_per_page,
    )


def _etag(key: Hashable, token: str) -> str:
    """A weak one: processes may differ in rows that came within the age of a version."""
    return f'W/"{hashlib.blake2b(repr((key, token)).encode(), digest_size=12).hexdigest()}"'


def _control(caller: Caller, etag: str) -> dict[str, str]:
    """Caches may keep it, and have to ask whether it still holds; only for whom it was made."""
    whose = "public" if caller.is_anonymous else "private"
    return {"ETag": etag, "Cache-Control": f"{whose}, no-cache"}
