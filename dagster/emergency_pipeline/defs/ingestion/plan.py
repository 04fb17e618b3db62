"""What the ingestion job decides, apart from the asking and waiting: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date

from emdata.errors import SettingError
from emdata.state.requests import Request
from emergency_pipeline import ledger
from emergency_pipeline.catalog import Catalog


def chosen_streams(wanted: Sequence[str], catalog: Catalog, off: Collection[str]) -> list[str]:
    """Return the streams to poll, all that can be when none is wanted by name.

    off: streams that nobody runs, such as for want of a key. Raises SettingError for a stream that
    no scraper has or that is off.
    """
    polled = (stream.name for stream in catalog.streams if stream.is_polled)
    known = [name for name in polled if name not in off]
    for name in wanted:
        if name not in known:
            raise _bad("streams", name, ", ".join(known))
    return list(wanted) or known


def backfill_arguments(since: str, until: str) -> dict[str, str]:
    """Return the arguments of a backfill request; both days count.

    Raises SettingError for a day that is none and for a stretch that ends before it begins.
    """
    for name, value in (("since", since), ("until", until)):
        try:
            date.fromisoformat(value)
        except ValueError:
            raise _bad(name, value, "a day as YYYY-MM-DD") from None
    if until < since:
        raise _bad("until", until, f"a day that is not before since ({since})")
    return {"since": since, "until": until}


def _bad(name: str, value: str, allowed: str) -> SettingError:
    return SettingError(name, value=value, allowed=allowed, searched=["run configuration"])


def unanswered(requests: Iterable[Request]) -> list[str]:
    """Return the streams whose requests the manager has not answered."""
    return sorted(request.stream for request in requests if not request.is_done)


def failures(requests: Iterable[Request]) -> dict[str, str]:
    """Return why polls failed, by stream."""
    return {
        request.stream: request.error or "no reason given"
        for request in requests
        if request.is_done and request.error is not None
    }


def wait_until_settled(
    accepted: Sequence[ledger.Accepted],
    positions: Callable[[], list[ledger.Position]],
    deadline: float,
    *,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
    interval: float = 0.5,
) -> list[ledger.Accepted]:
    """Wait at most ``deadline`` seconds; return what had not landed by then."""
    until = monotonic() + deadline
    while True:
        waiting = ledger.not_landed(accepted, positions())
        if not waiting or monotonic() >= until:
            return waiting
        sleep(interval)
