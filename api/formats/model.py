"""What a format is: a name, media types, and an encoder that takes rows as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from api.catalog.model import Collection
from emdata.tabular.model import TableEncoder

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Age and origin of an answer: what is said in headers, bodies and files alike.

    newest_accepted_at: when the newest row of the collection was accepted, UTC.
    """

    is_simulated: bool
    data_version: str | None = None
    newest_accepted_at: datetime | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer of data has."""
        made = {"Emdata-Simulated": "true" if self.is_simulated else "false"}
        if self.data_version is not None:
            made["Emdata-Data-Version"] = self.data_version
        if self.newest_accepted_at is not None:
            made["Emdata-Newest-Accepted-At"] = instant_text(self.newest_accepted_at)
        return made

    def members(self) -> dict[str, Any]:
        """Return the same as members of a JSON document."""
        newest = self.newest_accepted_at
        return {
            "dataVersion": self.data_version,
            "newestAcceptedAt": None if newest is None else instant_text(newest),
            "isSimulated": self.is_simulated,
        }


@dataclass(frozen=True)
class Document:
    """What is around the rows. ``layout`` names the values of a row, in order (Statement.columns).

    shown: properties to show, None for all of the layout. links: as ``api.links.link`` makes them,
    of the page or item. number_matched: None where it was not counted. is_item: one row, which is
    the whole document. extra: what an encoder needs beside the rows, by its own names.
    """

    collection: Collection
    layout: tuple[str, ...]
    origin: Origin
    at: datetime
    shown: tuple[str, ...] | None = None
    links: Sequence[Mapping[str, Any]] = ()
    number_matched: int | None = None
    is_item: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The properties that are shown, in the order of the layout."""
        known = self.collection.by_name
        wanted = known if self.shown is None else set(self.shown)
        return tuple(name for name in self.layout if name in wanted and name in known)

    @property
    def url(self) -> str:
        """The document's own address; empty where it was not said."""
        return next((str(one["href"]) for one in self.links if one["rel"] == "self"), "")


@dataclass(frozen=True)
class Format:
    """One format. ``media_types``: the first is the one that is sent.

    suffix: of files. broken: what is written when rows end by an error, so that no reader takes
    the file for a whole one. is_for: which collections have it. is_download: browsers save it.
    is_streaming: it is offered for exports; is_page: for pages and not only for one item.
    """

    name: str
    title: str
    media_types: tuple[str, ...]
    suffix: str
    encoder: Callable[[Document], TableEncoder]
    broken: bytes
    is_for: Callable[[Collection], bool] = lambda _collection: True
    is_download: bool = False
    is_streaming: bool = True
    is_page: bool = True

    @property
    def content_type(self) -> str:
        """The value of the header Content-Type."""
        kind = self.media_types[0]
        return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def instant_text(value: datetime) -> str:
    """Return an instant as RFC 3339 in UTC with ``Z``; one without a zone is UTC."""
    naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat() + "Z"
