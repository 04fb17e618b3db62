"""The OpenFEMA API: envelopes, formats and paging as documented.

Source: https://www.fema.gov/about/openfema/api and the pages of the data sets,
https://www.fema.gov/openfema-data-page/disaster-declarations-summaries-v2 and
https://www.fema.gov/openfema-data-page/openfema-data-sets-v1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from simulator.answers import (
    Answer,
    Defect,
    Fact,
    SourceRequest,
    conditional,
    etag_of,
    to_json,
)
from simulator.fema.odata import QueryError, Row, in_order, parse_filter, parse_order, parse_select
from simulator.fema.table import FemaTable
from simulator.instants import http_date, iso_z

ENTITY = "DisasterDeclarationsSummaries"
_MAX_TOP = 10_000
_DEFAULT_TOP = 1_000
_TYPES = {
    "json": "application/json; charset=utf-8",
    "jsona": "application/json; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}


class FemaSource:
    """www.fema.gov with the two entities that a poller of declarations needs."""

    host: ClassVar[str] = "www.fema.gov"
    name: ClassVar[str] = "fema"
    paths: ClassVar[tuple[str, ...]] = (
        f"/api/open/v2/{ENTITY}",
        "/api/open/v1/OpenFemaDataSets",
    )
    mutations: ClassVar[tuple[str, ...]] = (
        "declare", "add_area", "end_incident", "close_out", "change_one", "vanish", "reload_bump",
    )  # fmt: skip

    def __init__(self, seed: int, origin: float) -> None:
        self._seed, self._origin = seed, origin
        self._mutations = 0

    @cached_property
    def _table(self) -> FemaTable:
        """Built when first asked for: it follows from seed, origin and mutations alone."""
        return FemaTable(self._seed, self._origin)

    def mutate(self, mutation: str, options: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Apply a named change; see ``mutations``."""
        keys = self._table.change(mutation, at, options, self._mutations)
        self._mutations += 1  # only now: a refused one is not logged and must leave no trace
        return {"rows": len(keys), "keys": [f"{number}|{place}" for number, place in keys[:20]]}

    def answer(self, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer a request for an entity; None for any other path."""
        self._table.advance(request.now)
        try:
            if request.path == self.paths[0]:
                return conditional(request, self._declarations(request, defect))
            if request.path == self.paths[1]:
                return conditional(request, self._data_sets(request))
        except QueryError as error:
            return _refused(str(error))
        return None

    def _declarations(self, request: SourceRequest, defect: Defect | None) -> Answer:
        rows = [row.fields for row in self._table.rows.values()]
        page = _Page(request, rows, ENTITY, "v2")
        facts = self._facts(page)
        records = page.records
        if defect == "malformed_row" and records:
            records = [{**records[0], "disasterNumber": "not-a-number"}, *records[1:]]
            facts = facts[1:]
        if defect == "drift":
            records = [_drifted(record) for record in records]
            facts = []
        return page.render(records, facts, self._table.changed_at)

    def _facts(self, page: _Page) -> list[Fact]:
        facts = []
        if {"disasterNumber", "placeCode"} <= set(page.columns):
            for row in page.rows:
                stored = self._table.rows[row["disasterNumber"], row["placeCode"]]
                facts.append(stored.fact)
        return facts

    def _data_sets(self, request: SourceRequest) -> Answer:
        changed = iso_z(self._table.changed_at)
        described = {
            "name": ENTITY,
            "title": "Disaster Declarations Summaries",
            "version": 2,
            "description": "SIMULATED DATA. All federally declared disasters by area.",
            "webService": f"https://www.fema.gov/api/open/v2/{ENTITY}",
            "dataDictionary": (
                "https://www.fema.gov/openfema-data-page/disaster-declarations-summaries-v2"
            ),
            "accrualPeriodicity": "R/PT20M",
            "lastDataSetRefresh": changed,
            "lastRefresh": changed,
            "depDate": None,
            "depApiMessage": "",
            "recordCount": len(self._table.rows),
            "id": "3c4b9d2e-0000-4000-8000-000000000002",
        }
        page = _Page(request, [described], "OpenFemaDataSets", "v1")
        return page.render(page.records, [], self._table.changed_at)


class _Page:
    """One page of rows: what was asked for, checked, and how it is written."""

    def __init__(
        self, request: SourceRequest, rows: Sequence[Row], entity: str, version: str
    ) -> None:
        fields = tuple(rows[0]) if rows else ()
        self._request, self._entity, self._version = request, entity, version
        self._format = request.parameter("$format", "json")
        if self._format not in _TYPES:
            raise QueryError(f"$format: {self._format!r} is not one of {', '.join(_TYPES)}")
        self._top = min(_number(request, "$top", _DEFAULT_TOP), _MAX_TOP)
        self._skip = _number(request, "$skip", 0)
        keep = parse_filter(request.parameter("$filter"), fields)
        order = parse_order(request.parameter("$orderby"), fields)
        self.columns = parse_select(request.parameter("$select"), fields) or fields
        kept = in_order([row for row in rows if keep(row)], order)
        self._count = len(kept)
        self.rows = kept[self._skip : self._skip + self._top]
        self.records: list[Row] = self.rows
        if self.columns != fields:
            self.records = [{name: row[name] for name in self.columns} for row in self.rows]

    def render(
        self, records: Sequence[Mapping[str, Any]], facts: Sequence[Fact], changed_at: float
    ) -> Answer:
        """Write the page in the asked format."""
        content = to_json(records)
        headers = {
            "ETag": etag_of(self._request.raw_query.encode(), content),
            "Last-Modified": http_date(changed_at),
            "Cache-Control": "no-cache",
        }
        body = content
        if self._format == "jsonl":
            body = b"\n".join(to_json(record) for record in records)
        elif self._format == "csv":
            body = _csv(self.columns, records)
        elif self._format == "json":
            metadata = to_json(self._metadata())
            name = self._entity.encode()
            body = b'{"metadata":' + metadata + b',"' + name + b'":' + content + b"}"
            if self._request.parameter("$metadata").lower() in ("off", "false"):
                body = b'{"' + name + b'":' + content + b"}"
        return Answer(body, _TYPES[self._format], 200, headers, facts)

    def _metadata(self) -> dict[str, Any]:
        request = self._request
        counted = request.parameter("$count") == "true"
        counted = counted or request.parameter("$inlinecount") == "allpages"
        return {
            "skip": self._skip,
            "filter": request.parameter("$filter"),
            "orderby": request.parameter("$orderby"),
            "select": request.parameter("$select") or None,
            "rundate": iso_z(request.now),
            "DeprecationInformation": {
                "depDate": None,
                "depApiMessage": None,
                "depNewURL": None,
                "depWebMessage": None,
            },
            "top": self._top,
            "format": self._format,
            "metadata": True,
            "entityname": self._entity,
            "version": self._version,
            "url": request.path + ("?" + request.raw_query if request.raw_query else ""),
            "count": self._count if counted else 0,
        }


def _number(request: SourceRequest, name: str, default: int) -> int:
    text = request.parameter(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryError(f"{name}: {text!r} is not a whole number of 0 or more")
    return int(text)


def _drifted(record: Row) -> Row:
    """Rename a key column, as a breaking change of the API would."""
    return {("disasterId" if k == "disasterNumber" else k): v for k, v in record.items()}


def _csv(columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if records:
        columns = tuple(records[0])
    writer.writerow(columns)
    for record in records:
        writer.writerow([_csv_value(record[name]) for name in columns])
    return text.getvalue().encode()


def _csv_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _refused(reason: str) -> Answer:
    body = {"error": {"statusCode": 400, "name": "BadRequestError", "message": reason}}
    return Answer(to_json(body), "application/json; charset=utf-8", 400)
