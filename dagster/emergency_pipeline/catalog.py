"""What flows through the platform, read from contracts and scrapers: streams, tables, windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emdata.contracts import Record, contracts
from emdata.errors import ContractError
from flink_jobs.windows import window_tables
from scrapers.base import find_scrapers
from scrapers.unpolled import UNPOLLED


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream: a scraper, or what pushes or is made of other records (not ``is_polled``).

    made_from: the datasets that it reads.
    """

    name: str
    source: str
    datasets: tuple[str, ...]
    every: str
    hosts: tuple[str, ...]
    description: str
    is_polled: bool = True
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """One table that a Flink window job keeps: its job and the datasets it is computed from."""

    name: str
    job: str
    datasets: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class Catalog:
    """Everything that definitions are derived from; nothing in this package names a source."""

    records: dict[str, type[Record]]
    streams: tuple[Stream, ...]
    windows: tuple[Window, ...]

    def streams_of(self, dataset: str) -> tuple[Stream, ...]:
        """Return the streams that emit a dataset."""
        return tuple(stream for stream in self.streams if dataset in stream.datasets)

    def tables_fed_by(self, datasets: Iterable[str]) -> tuple[str, ...]:
        """Return the raw tables that change when rows of ``datasets`` land, windows included."""
        changed = set(datasets)
        windows = {window.name for window in self.windows if changed & set(window.datasets)}
        return tuple(sorted(changed | windows))


def landing_job(record: type[Record]) -> str:
    """Return the name of the Flink job that lands a dataset: one job per landing group."""
    return f"landing-{record.dataset.landing_group}"


def read_catalog() -> Catalog:
    """Read contracts, scrapers and windows as they are in this process.

    Raises ContractError for a window over a dataset that has no contract.
    """
    streams = []
    for scraper in find_scrapers().values():
        emitted = tuple(record.dataset for record in scraper.emits)
        streams.append(
            Stream(
                name=scraper.name,
                source=emitted[0].source,
                datasets=tuple(dataset.name for dataset in emitted),
                every=scraper.every,
                hosts=scraper.hosts,
                description=(scraper.__doc__ or "").strip(),
            )
        )
    streams.extend(
        Stream(
            name=unpolled.name,
            source=unpolled.emits[0].dataset.source,
            datasets=tuple(record.dataset.name for record in unpolled.emits),
            every=unpolled.every,
            hosts=(),
            description=unpolled.description,
            is_polled=False,
            made_from=tuple(record.dataset.name for record in unpolled.made_from),
        )
        for unpolled in UNPOLLED
    )
    records = dict(contracts())
    windows = _windows()
    for window in windows:
        for name in window.datasets:
            if name not in records:
                raise ContractError(f"window {window.name}", value=name, allowed=", ".join(records))
    return Catalog(records, tuple(sorted(streams, key=lambda stream: stream.name)), windows)


def _windows() -> tuple[Window, ...]:
    return tuple(
        Window(
            name=table.name,
            job=f"windows-{table.job}",
            datasets=(table.dataset,),
            description=table.comment,
        )
        for table in window_tables()
    )
