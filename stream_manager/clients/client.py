"""Posting records to the stream manager; and to Kafka itself where no manager can be reached.

A manager that answers decides, also when it refuses. Only when it certainly took nothing (no
connection, or no sign of life behind one) are records written in degraded mode.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emdata.clock import Clock, SystemClock
from emdata.errors import ServiceError, SourceUnavailable
from emdata.state.clients import FIRST_CLIENT
from emdata.telemetry import get_logger

if TYPE_CHECKING:
    import httpx2

log = get_logger(__name__)
PROBE_SECONDS = 2.0
AGAIN_SECONDS = 5.0  # in degraded mode, how long the manager is not asked again
NO_ROOM = (429, 503, 507)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of records: accepted, refused with reasons; degraded are among the accepted."""

    accepted: int = 0
    rejected: tuple[Any, ...] = ()
    degraded: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.degraded + other.degraded,
        )


class Fallback(Protocol):
    """What writes where the manager cannot be reached: ``stream_manager.clients.degraded``."""

    def post(self, dataset: str, body: bytes) -> tuple[int, bytes]:
        """Take a JSON array of records; status and answer of the manager's door."""
        ...

    def close(self) -> None:
        """Stop; what Kafka lacks is finished by somebody else."""
        ...


class _Away(Exception):
    """A manager that certainly took nothing of a request."""


@dataclass
class ManagerClient:
    """Posts to the first of ``urls`` (active and standby) that takes records; for one thread.

    token and fallback are called when they are needed; prepare once, when a manager has answered,
    to get ready for a time when none does. timeout is in seconds.
    """

    urls: Sequence[str]
    token: Callable[[], str]
    timeout: float = 30.0
    fallback: Callable[[], Fallback] | None = None
    prepare: Callable[[], object] | None = None
    clock: Clock = field(default_factory=SystemClock)
    _degraded: Fallback | None = field(default=None, init=False)
    _ask_again_at: float = field(default=0.0, init=False)

    @property
    def is_degraded(self) -> bool:
        """Whether the last records were written without the manager."""
        return self._ask_again_at > 0.0

    def post(self, dataset: str, records: Sequence[bytes]) -> Sent:
        """Post JSON records of a dataset.

        Raises SourceUnavailable when nobody can take them now (they may be posted again), and
        ServiceError when the request is refused as a whole.
        """
        body = b"[" + b",".join(records) + b"]"
        if self.is_degraded and self.clock.monotonic() < self._ask_again_at:
            return self._post_degraded(dataset, body, len(records))
        reasons = []
        for url in self.urls:
            try:
                status, answer = self._request(url, dataset, body)
            except _Away as error:
                reasons.append(str(error))
                continue
            self._reached(url)
            return _sent(f"stream manager at {url}", dataset, len(records), status, answer)
        if self.fallback is None:
            raise SourceUnavailable("; ".join(reasons))
        self._ask_again_at = self.clock.monotonic() + AGAIN_SECONDS
        return self._post_degraded(dataset, body, len(records))

    def close(self) -> None:
        """End degraded mode, if it was begun."""
        if self._degraded is not None:
            self._degraded.close()
        self._degraded, self._ask_again_at = None, 0.0

    def _reached(self, url: str) -> None:
        if self.is_degraded:
            log.info("manager_reached_again", url=url)
            self.close()
        if self.prepare is not None:
            prepare, self.prepare = self.prepare, None
            prepare()

    def _request(self, url: str, dataset: str, body: bytes) -> tuple[int, bytes]:
        import httpx2  # Dagster's definitions load this module, and must load fast

        headers = {
            "Authorization": f"Bearer {self.token()}",
            "Content-Type": "application/json",
        }
        try:
            answer = httpx2.post(
                f"{url}/v1/records/{dataset}",
                content=body,
                headers=headers,
                timeout=self.timeout,
                verify=_is_tls(url),
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise _Away(f"stream manager at {url}: {error}") from error
        except httpx2.HTTPError as error:
            if self.fallback is not None and not _is_alive(url):
                # It may have taken them before it died: at least once, as for every retry.
                raise _Away(f"stream manager at {url}: {error}") from error
            raise SourceUnavailable(f"stream manager at {url}: {error}") from error
        if answer.status_code == 503 and _is_standby(answer):
            raise _Away(f"stream manager at {url} is a standby")
        return answer.status_code, answer.content

    def _post_degraded(self, dataset: str, body: bytes, count: int) -> Sent:
        if self._degraded is None:
            if self.fallback is None:
                raise SourceUnavailable("no stream manager can be reached")
            self._degraded = self.fallback()
        status, answer = self._degraded.post(dataset, body)
        sent = _sent("degraded mode", dataset, count, status, answer)
        return Sent(sent.accepted, sent.rejected, sent.accepted)


def client_buffers(buffers: Path) -> list[Path]:
    """Return the buffers of all clients that wrote, or may write, without their manager."""
    if not buffers.is_dir():
        return []
    found = [path for path in buffers.iterdir() if path.name.isdecimal()]
    return sorted(path for path in found if int(path.name) >= FIRST_CLIENT)


def _sent(who: str, dataset: str, count: int, status: int, answer: bytes) -> Sent:
    shown = answer[:200].decode("utf-8", "replace")
    if status in NO_ROOM:
        raise SourceUnavailable(f"{who} has no room: {shown}")
    if status != 200:
        raise ServiceError(f"{who} refused {count} records of {dataset}: HTTP {status} {shown}")
    try:
        body = json.loads(answer)
        return Sent(int(body["accepted"]), tuple(body.get("rejected", ())))
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ServiceError(f"{who}: unreadable answer: {error}") from error


def _is_alive(url: str) -> bool:
    import httpx2

    try:
        httpx2.get(f"{url}/health", timeout=PROBE_SECONDS, verify=_is_tls(url))
    except httpx2.HTTPError:
        return False
    return True


def _is_tls(url: str) -> bool:
    """Whether certificates are to be loaded, which takes longer than a request on loopback."""
    return url.startswith("https:")


def _is_standby(answer: httpx2.Response) -> bool:
    try:
        return bool(answer.json().get("title") == "standby")
    except (ValueError, AttributeError):
        return False
