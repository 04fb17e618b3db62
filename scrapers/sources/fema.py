"""FEMA disaster declarations from OpenFEMA.

https://www.fema.gov/openfema-data-page/disaster-declarations-summaries-v2 (fields),
https://www.fema.gov/about/openfema/api (parameters, paging). No key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from emdata.contracts.base import SHORT_TEXT_LENGTH, duration
from emdata.contracts.fema import DisasterDeclaration
from emdata.errors import DocumentError, RowError
from scrapers import values, wire
from scrapers.base import (
    Cursor,
    Document,
    EmergencyDataScraper,
    Watermark,
    backfill_of,
)
from scrapers.http import Response

BASE = "https://www.fema.gov/api/open"
ENTITY = "DisasterDeclarationsSummaries"
VERSION = 2
FULL_EVERY = "1d"
"""Deletions are invisible, so everything is pulled this often and compared by key."""

_LATER_COLUMNS_SINCE = datetime(2024, 1, 1, tzinfo=UTC)


def _fema_name(name: str) -> str:
    if name == "last_ia_filing_date":
        return "lastIAFilingDate"
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


class _Row(msgspec.Struct, rename=_fema_name, frozen=True):
    """A row as FEMA writes it. A column that FEMA always had must be there, if only as null."""

    fema_declaration_string: str | None
    disaster_number: int | str
    state: str | None
    declaration_type: str | None
    declaration_date: str | None
    fy_declared: int | None
    incident_type: str | None
    declaration_title: str | None
    ih_program_declared: bool | None
    ia_program_declared: bool | None
    pa_program_declared: bool | None
    hm_program_declared: bool | None
    incident_begin_date: str | None
    incident_end_date: str | None
    disaster_closeout_date: str | None
    fips_state_code: str | int | None
    fips_county_code: str | int | None
    place_code: str | int
    designated_area: str | None
    declaration_request_number: str | int | None
    last_refresh: str
    hash: str | None
    id: str | None
    # Columns that came later; rows refreshed before may lack them.
    last_ia_filing_date: str | UnsetType | None = UNSET
    tribal_request: bool | UnsetType | None = UNSET
    incident_id: str | int | UnsetType | None = UNSET
    region: int | UnsetType | None = UNSET
    designated_incident_types: str | UnsetType | None = UNSET


_LATER = (
    "last_ia_filing_date",
    "tribal_request",
    "incident_id",
    "region",
    "designated_incident_types",
)
_KNOWN = wire.wire_names(_Row)
_TELLING = _KNOWN - {"lastRefresh", "hash", "id", "state", "region"}


class _DataSet(msgspec.Struct, rename="camel"):
    name: str
    version: int
    last_data_set_refresh: str


class _Metadata(msgspec.Struct):
    top: int | None = None
    deprecation_information: dict[str, str | None] | None = msgspec.field(
        default=None, name="DeprecationInformation"
    )


class FemaDisasterDeclarations(EmergencyDataScraper):
    """DisasterDeclarationsSummaries v2, in the bounds of STATES and HISTORY_SINCE.

    A poll first asks OpenFemaDataSets whether the data set was refreshed at all. If so it reads
    the rows with ``lastRefresh`` since the watermark less the overlap; once a day, and when the
    bounds change, it reads everything.
    """

    name = "fema"
    emits = (DisasterDeclaration,)
    every, relook, rate = "20min", "1d", "1/s"
    hosts = ("www.fema.gov",)
    rows_are_whole = True
    page_size: ClassVar[int] = 5000

    async def scrape_data(self, cursor: Cursor) -> AsyncIterator[Document]:
        """Yield the probe, then pages when something moved or a full pull is due."""
        stretch = backfill_of(cursor)
        if stretch is not None:
            where = _declared(*stretch, self._states())
            async for page in self._pages(where, "id", full=False, notes={}):
                yield page
            return
        probe, refreshed = await self._probe()
        scope = self._scope()
        full = self._full_pull_is_due(cursor, scope)
        moved = refreshed != cursor.get("dataset_refreshed_at")
        yield Document.of(
            probe,
            self.clock.now(),
            kind="probe",
            is_last=not (full or moved),
            notes={"dataset_refreshed_at": refreshed},
        )
        if full:
            notes: Cursor = {"full_at": self.clock.now().isoformat(), "scope": scope}
            async for page in self._pages(scope, "id", full=True, notes=notes):
                yield page
        elif moved:
            since = _since(str(cursor["refreshed_at"]), self.relook)
            where = " and ".join(part for part in (since, scope) if part)
            async for page in self._pages(where, "lastRefresh,id", full=False, notes={}):
                yield page

    def _full_pull_is_due(self, cursor: Cursor, scope: str) -> bool:
        last = cursor.get("full_at")
        if not isinstance(last, str) or cursor.get("refreshed_at") is None:
            return True
        age = self.clock.now() - datetime.fromisoformat(last)
        return cursor.get("scope") != scope or age >= duration(FULL_EVERY)

    def _scope(self) -> str:
        """The bounds of the settings as a filter."""
        since = f"declarationDate ge '{self.settings.history_since}T00:00:00.000z'"
        return f"{since}{self._states()}"

    def _states(self) -> str:
        """String literals are quoted, an embedded quote is doubled."""
        states = self.settings.states
        if "ALL" in states:
            return ""
        listed = ",".join("'" + state.replace("'", "''") + "'" for state in states)
        return f" and state in ({listed})"

    async def _probe(self) -> tuple[Response, str]:
        url = f"{BASE}/v1/OpenFemaDataSets"
        answer = await self.http.get(
            url,
            params={
                "$filter": f"name eq '{ENTITY}'",
                "$select": "name,version,lastDataSetRefresh,recordCount,accrualPeriodicity",
            },
        )
        body = wire.body_of(answer.body, what=url, content_type=answer.content_type)
        for raw in _only_list(wire.envelope(body, what=url), url):
            try:
                row = wire.decode(raw, _DataSet)
            except RowError as error:
                raise DocumentError(f"{url}: {error}") from error
            if row.name == ENTITY and row.version == VERSION:
                return answer, row.last_data_set_refresh
        raise DocumentError(f"{url}: names no version {VERSION} of {ENTITY}")

    async def _pages(
        self, where: str, order: str, *, full: bool, notes: Cursor
    ) -> AsyncIterator[Document]:
        skip, before = 0, b""
        while True:
            params = {
                "$filter": where,
                "$orderby": order,
                "$skip": str(skip),
                "$top": str(self.page_size),
            }
            answer = await self.http.get(f"{BASE}/v{VERSION}/{ENTITY}", params=params)
            page = Document.of(answer, self.clock.now(), kind="full" if full else "page")
            rows = list(self.rows(page))
            first = bytes(rows[0]) if rows else b""
            if first and first == before:
                raise DocumentError(f"{answer.url}: the same page again; $skip has no effect")
            before, skip = first, skip + len(rows)
            is_last = len(rows) < (_metadata(page.body).top or self.page_size)
            yield replace(
                page, is_last=is_last, complete=full and is_last, notes=notes if is_last else {}
            )
            if is_last:
                return

    def rows(self, document: Document) -> Sequence[msgspec.Raw]:
        """Cut any of OpenFEMA's bodies (json, jsona, jsonl, csv, one record) into rows."""
        if document.kind == "probe" or document.not_modified:
            return []
        what = document.url
        body = wire.body_of(document.body, what=what, content_type=document.content_type)
        rows = _cut(body, what)
        if rows and wire.is_json(body):
            names = wire.keys(rows[0])
            if names and not names & _TELLING:
                raise DocumentError(f"{what}: rows of another entity, with {_listed(names)}")
        return rows

    def parse(self, raw: msgspec.Raw, document: Document) -> Sequence[DisasterDeclaration]:
        """Turn one row into one declaration."""
        if wire.is_json(document.body):
            row, names = wire.decode(raw, _Row), wire.keys(raw)
        else:
            header = wire.csv_header(document.body)
            texts = wire.csv_mapping(header, raw)
            row = wire.convert({k: _csv_value(v) for k, v in texts.items()}, _Row)
            names = frozenset(header)
        _refuse_drift(row, names)
        return (_record(row),)

    def next_cursor(self, cursor: Cursor, seen: Watermark) -> Cursor:
        """Move the watermark to the newest lastRefresh that was parsed."""
        moved = seen.advance(cursor, "refreshed_at", DisasterDeclaration.dataset.name)
        return {**moved, **seen.notes}

    def fields_unknown(self, document: Document) -> frozenset[str]:
        """Name columns that FEMA added."""
        rows = self.rows(document)
        if not rows:
            return frozenset()
        if wire.is_json(document.body):
            return wire.keys(rows[0]) - _KNOWN
        return frozenset(wire.csv_header(document.body)) - _KNOWN

    def warnings(self, document: Document) -> tuple[str, ...]:
        """Pass on FEMA's notice that this version goes away."""
        notice = _metadata(document.body).deprecation_information
        if notice is None or not any(notice.values()):
            return ()
        said = ", ".join(f"{name}={value}" for name, value in notice.items() if value)
        return (f"{ENTITY} v{VERSION} is deprecated: {said[:300]}",)


def _since(watermark: str, overlap: str) -> str:
    at = datetime.fromisoformat(watermark).replace(tzinfo=UTC) - duration(overlap)
    return f"lastRefresh ge '{at.strftime('%Y-%m-%dT%H:%M:%S')}.{at.microsecond // 1000:03d}z'"


def _declared(since: date, until: date, states: str) -> str:
    following = until + timedelta(days=1)
    bounds = f"declarationDate ge '{since}T00:00:00.000z'"
    return f"{bounds} and declarationDate lt '{following}T00:00:00.000z'{states}"


def _metadata(body: bytes) -> _Metadata:
    """The envelope's metadata; empty for bodies that carry none (jsona, jsonl, csv)."""
    try:
        raw = wire.envelope(body, what="metadata").get("metadata")
        return _Metadata() if raw is None else wire.decode(raw, _Metadata)
    except (DocumentError, RowError):
        return _Metadata()


def _only_list(members: dict[str, msgspec.Raw], what: str) -> list[msgspec.Raw]:
    """The rows of an envelope: its only list, whose name follows the spelling in the URL."""
    lists = [raw for raw in members.values() if bytes(raw)[:1] == b"["]
    if len(lists) != 1:
        raise DocumentError(f"{what}: expected one list in the envelope, found {len(lists)}")
    return wire.array(lists[0], what=what)


def _cut(body: bytes, what: str) -> list[msgspec.Raw]:
    if body.startswith(b"["):
        return wire.array(body, what=what)
    if body.startswith(b"{"):
        first, _, rest = body.partition(b"\n")
        if first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{"):
            return wire.lines(body)
        members = wire.envelope(body, what=what)
        if "disasterNumber" in members:
            return [msgspec.Raw(body)]
        return _only_list(members, what)
    if body.startswith(b"PAR1"):
        raise DocumentError(f"{what}: Parquet is not read; ask for json, jsonl or csv")
    header = wire.csv_header(body)
    if not _TELLING & set(header):
        raise DocumentError(f"{what}: neither JSON nor CSV of {ENTITY}: {wire.shown(body)}")
    return wire.csv_rows(body)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:6])


def _csv_value(text: str) -> str | None:
    return None if text in ("", "NULL", "null") else text


def _refuse_drift(row: _Row, names: frozenset[str]) -> None:
    """A later column may be missing only in an old answer, and never beside one of a like name."""
    missing = [_fema_name(name) for name in _LATER if getattr(row, name) is UNSET]
    if not missing:
        return
    values.refuse_renames(missing, names - _KNOWN)
    if values.instant(row.last_refresh, "lastRefresh") >= _LATER_COLUMNS_SINCE:
        raise RowError(f"required field `{missing[0]}` is missing")


def _record(row: _Row) -> DisasterDeclaration:
    state, county = _padded(row.fips_state_code, 2), _padded(row.fips_county_code, 3)
    whole = county is None or county == "000" or state is None
    region = None if row.region is UNSET else row.region
    tribal = None if row.tribal_request is UNSET else row.tribal_request
    return DisasterDeclaration(
        disaster_number=_number(row.disaster_number),
        place_code=_required(row.place_code, "placeCode"),
        declaration_id=_text(row.fema_declaration_string, "femaDeclarationString"),
        state=_text(row.state, "state"),
        declaration_type=_text(row.declaration_type, "declarationType"),
        declared_on=_day(row.declaration_date, "declarationDate"),
        fiscal_year=values.bounded(row.fy_declared, "fyDeclared"),
        incident_type=_text(row.incident_type, "incidentType"),
        title=_text(row.declaration_title, "declarationTitle"),
        is_ih_declared=row.ih_program_declared,
        is_ia_declared=row.ia_program_declared,
        is_pa_declared=row.pa_program_declared,
        is_hm_declared=row.hm_program_declared,
        is_tribal_request=tribal,
        incident_began_on=_day(row.incident_begin_date, "incidentBeginDate"),
        incident_ended_on=_day(row.incident_end_date, "incidentEndDate"),
        closed_out_on=_day(row.disaster_closeout_date, "disasterCloseoutDate"),
        last_ia_filing_on=_day(row.last_ia_filing_date, "lastIAFilingDate"),
        state_fips=state,
        county_fips_part=county,
        county_fips=None if whole else f"{state}{county}",
        designated_area=_text(row.designated_area, "designatedArea"),
        request_number=_text(row.declaration_request_number, "declarationRequestNumber"),
        incident_id=_text(row.incident_id, "incidentId"),
        region=values.bounded(region, "region"),
        designated_incident_types=_text(row.designated_incident_types, "designatedIncidentTypes"),
        refreshed_at=values.instant(row.last_refresh, "lastRefresh"),
        source_hash=_text(row.hash, "hash"),
        source_id=_text(row.id, "id"),
    )


def _text(value: str | int | UnsetType | None, field: str) -> str | None:
    if value is None or value is UNSET:
        return None
    if isinstance(value, int):
        values.bounded(value, field)
    return values.clean(str(value), field, max_length=SHORT_TEXT_LENGTH)


def _required(value: str | int, field: str) -> str:
    return values.required(_text(value, field), field)


def _number(value: int | str) -> int:
    """FEMA's number; old answers wrote it as text."""
    text = str(value).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise RowError(f"disasterNumber: {values.shown(text)} is no number of a disaster")
    return int(text)


def _padded(value: str | int | None, digits: int) -> str | None:
    text = _text(value, "FIPS code")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= digits):
        raise RowError(f"FIPS code: {values.shown(text)} is not {digits} digits")
    return text.zfill(digits)


def _day(text: str | UnsetType | None, field: str) -> date | None:
    """The calendar date as written: FEMA means a day where it writes midnight UTC."""
    if text is None or text is UNSET or not text:
        return None
    return values.instant(text, field).date()
