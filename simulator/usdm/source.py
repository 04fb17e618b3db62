"""The Drought Monitor's statistics by county, as CSV or JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

from simulator.answers import (
    Answer,
    Defect,
    Fact,
    MutationError,
    SourceRequest,
    conditional,
    etag_of,
    fingerprint,
    to_json,
)
from simulator.geography.places import STATES, County
from simulator.usdm.maps import COUNTIES, Maps

DATASET = "usda_drought_counties"
_DATE = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})$")
_COLUMNS = (
    "MapDate", "FIPS", "County", "State", "None", "D0", "D1", "D2", "D3", "D4", "ValidStart",
    "ValidEnd", "StatisticFormatID",
)  # fmt: skip


class UsdmSource:
    """usdmdataservices.unl.edu with percent of area by county."""

    host: ClassVar[str] = "usdmdataservices.unl.edu"
    name: ClassVar[str] = "usda"
    paths: ClassVar[tuple[str, ...]] = (
        "/api/CountyStatistics/GetDroughtSeverityStatisticsByAreaPercent",
    )
    mutations: ClassVar[tuple[str, ...]] = ("revise",)

    def __init__(self, seed: int) -> None:
        self._maps = Maps(seed)
        self._mutations = 0

    def mutate(self, mutation: str, options: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Apply a named change; see ``mutations``."""
        if mutation not in self.mutations:
            known = ", ".join(self.mutations)
            raise MutationError(f"usda has no mutation {mutation!r}; it has: {known}")
        changed = self._maps.revise(at, options, self._mutations + 1)
        self._mutations += 1  # only now: a refused one is not logged and must leave no trace
        return changed

    def answer(self, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer a request for county statistics; None for any other path."""
        if request.path not in self.paths:
            return None
        try:
            rows, facts = self._rows(request)
        except ValueError as error:
            return Answer(to_json({"message": str(error)}), "application/json", 400)
        if defect == "malformed_row" and rows:
            rows[0]["D0"] = "n/a"
            facts = facts[1:]
        if defect == "drift":
            rows = [{("Dry" if k == "D0" else k): v for k, v in row.items()} for row in rows]
            facts = []
        if "application/json" in request.headers.get("accept", ""):
            texts = (to_json(_camel(row)) for row in rows)
            body, kind = b"[" + b",".join(texts) + b"]", "application/json; charset=utf-8"
        else:
            body, kind = _csv(rows), "text/csv; charset=utf-8"
        answer = Answer(body, kind, 200, {"ETag": etag_of(body)}, facts)
        return conditional(request, answer)

    def _rows(self, request: SourceRequest) -> tuple[list[dict[str, Any]], list[Fact]]:
        statistics = request.parameter("statisticsType", "1")
        if statistics not in ("1", "2"):
            raise ValueError(f"statisticsType {statistics!r} is not 1 or 2")
        first, last = _day(request, "startdate"), _day(request, "enddate")
        rows, facts = [], []
        for valid in self._maps.released(first, last, request.now):
            for county in _counties(request.parameter("aoi")):
                row = self._row(county, valid, int(statistics), request.now)
                rows.append(row)
                facts.append(_fact(row, valid))
        return rows, facts

    def _row(self, county: County, valid: date, statistics: int, now: float) -> dict[str, Any]:
        shares = self._maps.shares(county, valid, now)
        levels = list(shares)
        if statistics == 2:
            worse = [*shares[1:], 0.0]
            levels = [round(a - b, 2) for a, b in zip(shares, worse, strict=True)]
        return {
            "MapDate": valid,
            "FIPS": county.fips,
            "County": f"{county.name} {'Parish' if county.state == 'LA' else 'County'}",
            "State": county.state,
            "None": round(100 - shares[0], 2),
            **{f"D{level}": share for level, share in enumerate(levels)},
            "ValidStart": valid,
            "ValidEnd": valid + timedelta(days=6),
            "StatisticFormatID": statistics,
        }


def _fact(row: Mapping[str, Any], valid: date) -> Fact:
    statistics = row["StatisticFormatID"]
    values = {
        "county_fips": row["FIPS"],
        "valid_on": valid.isoformat(),
        "statistics_type": statistics,
        "state": row["State"],
        "none_percent": row["None"],
        **{f"d{level}_percent": row[f"D{level}"] for level in range(5)},
    }
    key = f"{row['FIPS']}|{valid.isoformat()}|{statistics}"
    return Fact(DATASET, key, fingerprint(values), values)


def _counties(aoi: str) -> list[County]:
    """Return the counties of states, five-digit codes, or both; what is unknown has none."""
    found: list[County] = []
    for part in filter(None, (part.strip().upper() for part in aoi.split(","))):
        if part in STATES:
            found += STATES[part].counties
        elif part in COUNTIES:
            found.append(COUNTIES[part])
        elif part == "US":
            found += COUNTIES.values()
    return sorted(dict.fromkeys(found), key=lambda county: county.fips)


def _day(request: SourceRequest, name: str) -> date:
    match = _DATE.match(request.parameter(name))
    if match is None:
        raise ValueError(f"{name} {request.parameter(name)!r} is not M/D/YYYY")
    month, day, year = (int(part) for part in match.groups())
    return date(year, month, day)


def _camel(row: Mapping[str, Any]) -> dict[str, Any]:
    written = {}
    for name, value in row.items():
        key = name.lower() if name.isupper() else name[0].lower() + name[1:]
        written[key] = f"{value.isoformat()}T00:00:00" if isinstance(value, date) else value
    return written


def _csv(rows: list[dict[str, Any]]) -> bytes:
    """Write CSV with a byte order mark and CRLF; map dates as YYYYMMDD."""
    lines = [",".join(rows[0] if rows else _COLUMNS)]
    for row in rows:
        written = {name: _plain(value) for name, value in row.items()}
        written["MapDate"] = f"{row['MapDate']:%Y%m%d}"
        lines.append(",".join(written.values()))
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()


def _plain(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
