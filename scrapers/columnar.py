"""CoAgMet's columnar JSON, cut into one row per station and time without decoding a value.

Several stations: a header with ``stations`` and ``time``, then one object of parallel arrays per
station. One station: ``station``, ``time`` and the arrays at the top level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from emdata.errors import DocumentError, RowError
from scrapers import wire

_HEADER = frozenset(
    {
        "which", "frequency", "timestep", "timezone", "tzOffset", "units", "today",
        "station", "stations", "time",
    }
)  # fmt: skip


class Header(msgspec.Struct, frozen=True, rename="camel"):
    """What holds for the whole document. ``time`` holds local times in ``timezone``."""

    units: str
    frequency: str | None = None
    timestep: int | None = None
    timezone: str | None = None
    tz_offset: str | None = None
    which: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Header and the arrays of each station, undecoded; ``names`` are those of all columns."""

    header: Header
    times: list[msgspec.Raw]
    stations: dict[str, dict[str, msgspec.Raw]]
    names: frozenset[str]


@lru_cache(maxsize=4)
def read_columns(body: bytes, what: str, known: frozenset[str]) -> Columns:
    """Take a document apart; kept for the rows that are parsed after.

    ``known`` names the columns that must be arrays; what else stands beside them in the answer for
    one station is a column if it is one. Raises DocumentError when it is not a columnar document.
    """
    members = wire.envelope(wire.body_of(body, what=what), what=what)
    if "time" not in members or not {"station", "stations"} & members.keys():
        named = ", ".join(sorted(members)[:6])
        raise DocumentError(f"{what}: no `time` and `station(s)`; found: {named}")
    head = {name: raw for name, raw in members.items() if name in _HEADER - {"time"}}
    try:
        header = wire.decode(msgspec.json.encode(head), Header)
        times = wire.array(members["time"], what=f"{what}: time")
        if "station" in members:
            own = {
                name: raw
                for name, raw in members.items()
                if name not in _HEADER and (name in known or bytes(raw)[:1] == b"[")
            }
            station = wire.decode(members["station"], str)
            return Columns(header, times, {station: own}, frozenset(own))
        listed = wire.decode(members["stations"], list[str])
    except RowError as error:
        raise DocumentError(f"{what}: header: {error}") from error
    # What is neither listed nor known is an addition to the header, unless nothing is left.
    found = {n: members[n] for n in listed if n in members and n not in _HEADER}
    if listed and not found:
        raise DocumentError(f"{what}: none of the listed stations is there, such as {listed[0]!r}")
    for name in sorted(members.keys() - _HEADER - set(listed)):
        if wire.keys(members[name]) & known:
            raise DocumentError(f"{what}: {name!r} holds a station's columns and is not listed")
    stations = {
        name: wire.envelope(bytes(raw), what=f"{what}: {name}")
        for name, raw in found.items()
        if bytes(raw) not in (b"null", b"{}", b"[]")
    }
    names = frozenset(name for arrays in stations.values() for name in arrays)
    return Columns(header, times, stations, names)


def cut_rows(columns: Columns) -> list[msgspec.Raw]:
    """Return one row ``{"station":...,"time":...,"<field>":...}`` per station and time.

    A station whose arrays are not all as long as ``time`` gives one row with ``"broken"``: which
    value belongs to which time is unknown for all of them.
    """
    rows: list[msgspec.Raw] = []
    for station, arrays in columns.stations.items():
        name = msgspec.json.encode(station)
        fault, values = _values(arrays, len(columns.times))
        if fault is not None:
            joined = b",".join(_pair(n, bytes(raw)) for n, raw in arrays.items())
            broken = msgspec.json.encode(fault)
            rows.append(
                msgspec.Raw(b'{"station":%b,"broken":%b,"columns":{%b}}' % (name, broken, joined))
            )
            continue
        for index, time in enumerate(columns.times):
            pairs = [b'"station":' + name, b'"time":' + bytes(time)]
            pairs += [_pair(field, bytes(column[index])) for field, column in values.items()]
            rows.append(msgspec.Raw(b"{" + b",".join(pairs) + b"}"))
    return rows


def _values(
    arrays: dict[str, msgspec.Raw], length: int
) -> tuple[str | None, dict[str, list[msgspec.Raw]]]:
    values: dict[str, list[msgspec.Raw]] = {}
    for field, raw in arrays.items():
        try:
            values[field] = wire.array(raw, what=field)
        except DocumentError as error:
            return str(error), {}
        if len(values[field]) != length:
            return f"{field} has {len(values[field])} values, time has {length}", {}
    return None, values


def _pair(name: str, value: bytes) -> bytes:
    return msgspec.json.encode(name) + b":" + value
