"""Headers that limit what a browser does with an answer, and who may ask from a page (CORS)."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]
_PAGE = (
    b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
_DATA = b"default-src 'none'; frame-ancestors 'none'"
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    # What a caller sees depends on who they are; a shared cache may not give it to the next one.
    (b"vary", b"Authorization, X-API-Key"),
    (b"permissions-policy", b"camera=(), microphone=(), payment=()"),
)
_TLS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
# Any page may read what anybody may read. No credentials: a page of somebody else can use neither a
# key that its visitor has nor one of its own from a browser.
_SHARED = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"ETag, Link, Retry-After, RateLimit, RateLimit-Policy, Content-Disposition, "
        b"Content-Range, Accept-Ranges, Emdata-Data-Version, Emdata-Newest-Accepted-At, "
        b"Emdata-Simulated",
    ),
)
_PREFLIGHT = (
    *_SHARED,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"Accept, If-None-Match, If-Range, Range, Last-Event-ID"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
)
_SAFE = frozenset({"GET", "HEAD"})
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})


class SecurityHeaders:
    """Adds the headers; a route's own win. Answers preflight requests itself."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._always = always_sent(is_https=is_https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers added to what begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = {name for name, _ in scope["headers"]}
        if scope["method"] == "OPTIONS" and {b"origin", b"access-control-request-method"} <= asked:
            headers = [*self._always, *_PREFLIGHT]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        shared = is_shared(scope["method"], asked)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                message["headers"] = secured(given, self._always, shared=shared)
            await send(message)

        await self._app(scope, receive, add)


def always_sent(*, is_https: bool) -> Headers:
    """Return what every answer has, of a public address with TLS or without."""
    return (*_ALWAYS, _TLS) if is_https else _ALWAYS


def is_shared(method: str, asked: Set[bytes]) -> bool:
    """Whether any page may read the answer; ``asked``: names of the request's headers."""
    return method in _SAFE and asked.isdisjoint(_CREDENTIALS)


def secured(
    given: Sequence[tuple[bytes, bytes]], always: Headers, *, shared: bool
) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with those that are added; its own win."""
    names = {name.lower() for name, _ in given}
    kind = next((value for name, value in given if name.lower() == b"content-type"), b"")
    wanted = _wanted(always, is_page=kind.startswith(b"text/html"), shared=shared)
    return [*given, *(one for one in wanted if one[0] not in names or one[0] == b"vary")]


@cache
def _wanted(always: Headers, *, is_page: bool, shared: bool) -> Headers:
    policy = (b"content-security-policy", _PAGE if is_page else _DATA)
    return (*always, policy, *_SHARED) if shared else (*always, policy)
