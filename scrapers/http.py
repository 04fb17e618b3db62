"""The one way out: limits, deadlines and caps for every source.

A limiter per host is shared by all its streams. Retry-After makes only that host wait. A request
has a total deadline, a body two caps, a redirect is checked again at every hop, TLS is always
verified, and no connection goes to a private address (but for the simulator's own).
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from types import TracebackType

import httpcore2
import httpx2
import stamina
from aiolimiter import AsyncLimiter

from emdata.clock import Clock, Monotonic
from emdata.contracts.base import duration
from emdata.errors import (
    ContractError,
    EmdataError,
    SettingError,
    SourceRefused,
    SourceThrottled,
    SourceUnavailable,
    UnsafeAddress,
)
from emdata.paths import Mode
from emdata.settings import Settings
from scrapers.addresses import Address, GuardedBackend
from scrapers.bodies import ACCEPT_ENCODING, read_body
from scrapers.httpdate import MAX_RETRY_AFTER, retry_after_seconds

MAX_BODY = 64 * 1024 * 1024
TOTAL_TIMEOUT = 60.0
MAX_REDIRECTS = 5
DEFAULT_PAUSE = 30.0
"""Seconds that a host rests after a 429 that names no usable time."""

HIDDEN = "REDACTED"
_JITTER = 0.1
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_LATER = frozenset({408, 425})
_FORWARDED = frozenset({"accept", "if-none-match", "if-modified-since"})
_PERIODS = {"s": "1s", "min": "1min", "h": "1h", "d": "1d"}


@dataclass(frozen=True, slots=True)
class Response:
    """A useful answer: 2xx, or 304 with ``not_modified``. Header names are in lower case.

    seconds: from the first byte sent to the last received, redirects included.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    not_modified: bool = False
    seconds: float = 0.0

    @property
    def content_type(self) -> str:
        """Media type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def etag(self) -> str | None:
        """ETag, to be sent back as If-None-Match."""
        return self.headers.get("etag")

    @property
    def last_modified(self) -> str | None:
        """Last-Modified, to be sent back as If-Modified-Since."""
        return self.headers.get("last-modified")


class _Unanswered(SourceUnavailable):
    """No answer, or a 5xx without Retry-After: worth another try within the same request."""


def parse_rate(text: str) -> tuple[float, float]:
    """Read a rate such as ``1/s`` or ``30/min`` as (requests, seconds).

    Raises ContractError for anything else.
    """
    count, _, unit = text.partition("/")
    is_count = count.isdecimal() and len(count) <= 9 and int(count) > 0
    if not is_count or unit not in _PERIODS:
        raise ContractError("rate", value=text, allowed="a number per s, min, h or d, as 30/min")
    return float(count), duration(_PERIODS[unit]).total_seconds()


class HttpClient:
    """Asynchronous HTTP for sources; one per process, closed by its owner.

    simulator_base: ``http://127.0.0.1:PORT``; every https URL is then asked for there, under
    ``/HOST/path``. allowed: private addresses that may be connected to (tests).
    attempts: tries of one request when nothing or a 5xx comes back. jitter: a number from 0 to 1.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        clock: Clock,
        simulator_base: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        allowed: Iterable[Address] = (),
        attempts: int = 3,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._attempts, self._jitter = clock, attempts, jitter
        self._base = httpx2.URL(simulator_base) if simulator_base else None
        trusted = set(allowed)
        if self._base is not None:
            trusted.add((self._base.host, self._base.port or 80))
        self._client = httpx2.AsyncClient(
            transport=_GuardedTransport(ssl_context or trusting_the_system(), trusted),
            headers={"User-Agent": user_agent, "Accept-Encoding": ACCEPT_ENCODING},
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(30.0, connect=10.0),
        )
        self._secrets: set[str] = set()
        self._rates: dict[str, tuple[float, float]] = {}
        self._limiters: dict[str, AsyncLimiter] = {}
        self._resting: dict[str, Monotonic] = {}

    @classmethod
    def from_settings(cls, settings: Settings, mode: Mode, clock: Clock) -> HttpClient:
        """Build the client of a mode.

        Raises SettingError when live and nobody is named as contact, which sources ask for.
        """
        if mode == "simulator":
            base = f"http://{settings.simulator_host}:{settings.simulator_port}"
            return cls(
                user_agent=user_agent("simulator"),
                clock=clock,
                simulator_base=base,
                ssl_context=trusting_nobody(),
            )
        if not settings.contact:
            raise SettingError(
                "EMDATA_CONTACT",
                value="",
                allowed="an e-mail address or URL that a source's operator can write to",
                fix="set EMDATA_CONTACT, or SOURCES=simulator",
            )
        return cls(user_agent=user_agent(settings.contact), clock=clock)

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def limit(self, host: str, rate: str) -> None:
        """Hold ``host`` to a rate such as ``1/s``; of several, the slowest counts."""
        wanted, known = parse_rate(rate), self._rates.get(host)
        if known is None or wanted[0] / wanted[1] < known[0] / known[1]:
            self._rates[host] = wanted
            self._limiters.pop(host, None)

    @property
    def is_simulated(self) -> bool:
        """Whether every request goes to the simulator."""
        return self._base is not None

    def hide(self, secret: str) -> None:
        """Keep a key, which some sources want in the path, out of all that is given back."""
        self._secrets.add(secret)
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # at INFO it logs every address

    def rest(self, host: str, seconds: float) -> None:
        """Leave ``host`` alone for some seconds, at most an hour, as it asked in its own words."""
        until = Monotonic(self._clock.monotonic() + min(seconds, MAX_RETRY_AFTER))
        self._resting[host] = max(until, self._resting.get(host, until))

    def rests_for(self, host: str) -> float:
        """Seconds that ``host`` still wants to be left alone, 0 when it may be asked."""
        return max(0.0, self._resting.get(host, Monotonic(0.0)) - self._clock.monotonic())

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        max_bytes: int = MAX_BODY,
        total_timeout: float = TOTAL_TIMEOUT,
    ) -> Response:
        """Fetch ``url``; a conditional request when ``etag`` or ``last_modified`` is given.

        ``total_timeout`` in seconds covers all redirects and the whole body of one attempt.
        Raises SourceThrottled, SourceUnavailable, SourceRefused, ResponseTooLarge, UnsafeAddress.
        """
        target = httpx2.URL(url, params=params) if params else httpx2.URL(url)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if etag:
            sent["if-none-match"] = etag
        if last_modified:
            sent["if-modified-since"] = last_modified
        async for attempt in stamina.retry_context(
            on=_Unanswered, attempts=self._attempts, timeout=None, wait_initial=0.5, wait_max=5.0
        ):
            with attempt:
                return await self._without_secrets(target, sent, max_bytes, total_timeout)
        raise AssertionError("retry_context ends by returning or raising")

    async def _without_secrets(
        self, target: httpx2.URL, headers: dict[str, str], max_bytes: int, total: float
    ) -> Response:
        try:
            return await self._attempt(target, headers, max_bytes, total)
        except EmdataError as error:
            if not self._secrets:
                raise
            error.args = tuple(self._hidden(str(part)) for part in error.args)
            raise error from None  # its cause would show the address as it was asked

    async def _attempt(
        self, target: httpx2.URL, headers: dict[str, str], max_bytes: int, total: float
    ) -> Response:
        rest = self.rests_for(target.host)
        if rest > 0:
            raise SourceThrottled(
                f"{target.host} asked to be left alone for {rest:.0f} s more", retry_after=rest
            )
        async with self._limiter(target.host):
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(total):
                    response = await self._follow(target, headers, max_bytes)
                return replace(response, seconds=self._clock.monotonic() - started)
            except TimeoutError:
                raise SourceUnavailable(f"{target}: no whole answer within {total:g} s") from None
            except (httpx2.TimeoutException, httpx2.NetworkError) as error:
                raise _network_error(target, error) from error
            except httpx2.HTTPError as error:
                raise SourceUnavailable(f"{target}: {type(error).__name__}: {error}") from error
            except httpx2.InvalidURL as error:
                raise SourceRefused(f"{target}: redirects to an invalid URL: {error}") from error

    def _limiter(self, host: str) -> AsyncLimiter:
        if host not in self._limiters:
            count, seconds = self._rates.get(host, (1.0, 1.0))
            self._limiters[host] = AsyncLimiter(count, seconds)
        return self._limiters[host]

    async def _follow(
        self, target: httpx2.URL, headers: dict[str, str], max_bytes: int
    ) -> Response:
        for _hop in range(MAX_REDIRECTS + 1):
            request = self._client.build_request("GET", self._rewritten(target), headers=headers)
            response = await self._client.send(request, stream=True)
            try:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or location is None:
                    return await self._answer(target, response, max_bytes)
            finally:
                await response.aclose()
            following = _next_hop(target, location)
            if following.host != target.host:
                headers = {name: v for name, v in headers.items() if name in _FORWARDED}
            target = following
        raise SourceRefused(f"{target}: more than {MAX_REDIRECTS} redirects")

    def _rewritten(self, target: httpx2.URL) -> httpx2.URL:
        if self._base is None or target.host == self._base.host:
            return target
        path = f"/{target.host}".encode() + target.raw_path
        return self._base.copy_with(raw_path=path)

    async def _answer(
        self, target: httpx2.URL, response: httpx2.Response, max_bytes: int
    ) -> Response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        status, url = response.status_code, self._hidden(str(target))
        if status == 304:
            return Response(url, status, headers, b"", not_modified=True)
        if 200 <= status < 300:
            body = await read_body(
                response.aiter_raw(),
                encoding=headers.get("content-encoding", ""),
                max_bytes=max_bytes,
                url=url,
            )
            for secret in self._secrets:
                body = body.replace(secret.encode(), HIDDEN.encode())
            return Response(url, status, headers, body)
        raise self._refusal(target, status, headers)

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _refusal(self, target: httpx2.URL, status: int, headers: Mapping[str, str]) -> Exception:
        wait = retry_after_seconds(headers.get("retry-after"), self._clock.now())
        if status == 429 or (status == 503 and wait is not None):
            seconds = DEFAULT_PAUSE if wait is None else wait
            seconds = min(seconds * (1 + _JITTER * self._jitter()), MAX_RETRY_AFTER)
            self.rest(target.host, seconds)
            return SourceThrottled(f"{target}: HTTP {status}", retry_after=seconds)
        if status >= 500:
            return _Unanswered(f"{target}: HTTP {status}")
        if status in _TRY_LATER:
            return SourceUnavailable(f"{target}: HTTP {status}", retry_after=wait)
        return SourceRefused(f"{target}: HTTP {status}")


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """The stock transport over a pool whose connections are checked; it has no setting for it."""

    def __init__(self, context: ssl.SSLContext, allowed: Iterable[Address]) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=20,
            max_keepalive_connections=10,
            keepalive_expiry=30.0,
            network_backend=GuardedBackend(allowed),
        )


def trusting_the_system() -> ssl.SSLContext:
    """The system's certificates, and TLS 1.2 at least whatever the system's OpenSSL allows."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusting_nobody() -> ssl.SSLContext:
    """Return a TLS context for a client that has no business with TLS; loading roots takes long."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def user_agent(contact: str) -> str:
    """Return the User-Agent: who asks and whom to write to."""
    printable = "".join(c for c in contact if c.isascii() and c.isprintable())
    return f"emdata/{version('emdata')} ({printable})"


def _next_hop(current: httpx2.URL, location: str) -> httpx2.URL:
    following = current.join(location)
    if following.scheme not in ("http", "https"):
        raise UnsafeAddress(f"{current}: redirects to {following.scheme}:, not to http or https")
    if current.scheme == "https" and following.scheme != "https":
        raise UnsafeAddress(f"{current}: redirects from https to {following.scheme}")
    return following


def _network_error(target: httpx2.URL, error: Exception) -> SourceUnavailable:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return SourceUnavailable(f"{target}: TLS refused: {cause}")
        cause = cause.__cause__ or cause.__context__
    return _Unanswered(f"{target}: {type(error).__name__}: {error}")
