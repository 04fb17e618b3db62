"""The contract suite: what holds for every source that is found, over its own fixtures.

A new source is covered by being there: a scraper in ``scrapers/sources`` and payloads in
``tests/fixtures/<stream>``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from emdata.clock import SystemClock
from emdata.contracts import contracts, duration, fields_of
from emdata.contracts.base import Priority, Record
from emdata.errors import DocumentError
from emdata.settings import load_settings
from scrapers import wire
from scrapers.base import EmergencyDataScraper, find_scrapers
from scrapers.http import parse_rate
from scrapers.offline import RowOutcome, document_of, idle, parse_row, parse_rows
from scrapers.push.mqtt import MqttConnector
from scrapers.push.submissions import Submissions
from scrapers.schemas import schema_file, schema_of, schema_text
from scrapers.unpolled import UNPOLLED
from stream_manager.derived.notices import EscalationNotices
from tests.contracts import mutate

FIXTURES = Path(__file__).parents[1] / "fixtures"
SCHEMAS = Path(__file__).parent / "schemas"
SETTINGS = load_settings({}, env_file=None)
SCRAPERS = find_scrapers()
NOT_POLLED = (MqttConnector, EscalationNotices, Submissions)
IDLE = {name: idle(scraper, SETTINGS) for name, scraper in SCRAPERS.items()}


@dataclass(frozen=True)
class Payload:
    """One fixture of one stream."""

    stream: str
    path: Path

    @property
    def scraper(self) -> EmergencyDataScraper:
        """A scraper that parses it."""
        return IDLE[self.stream]

    @property
    def body(self) -> bytes:
        """The bytes as the source would send them."""
        return self.path.read_bytes()

    def outcomes(self, body: bytes) -> list[RowOutcome]:
        """What becomes of the rows of a body of this stream."""
        return list(parse_rows(self.scraper, document_of(body, self.path.name)))


def _payloads(suffix: str = "") -> list[Any]:
    return [
        pytest.param(Payload(stream, path), id=f"{stream}/{path.name}")
        for stream in SCRAPERS
        for path in sorted((FIXTURES / stream).glob("*"))
        if path.name.endswith(suffix)
    ]


def _identities(outcomes: list[RowOutcome]) -> list[tuple[str, str, str | None, str]]:
    return [
        (r.dataset.name, r.record_key(), r.version_text(), r.content_hash().hex())
        for row in outcomes
        for r in row.records
    ]


@pytest.mark.parametrize("name", SCRAPERS)
def test_a_source_declares_what_the_platform_needs(name: str) -> None:
    scraper = SCRAPERS[name]
    assert scraper.name == name
    assert scraper.emits, "a stream emits at least one dataset"
    assert scraper.hosts, "hosts are named, so that limits and checks can hold"
    assert parse_rate(scraper.rate)[0] > 0
    assert duration(scraper.every).total_seconds() >= 30, "courtesy: no faster than 30 s"
    assert duration(scraper.relook).total_seconds() >= 0
    assert scraper.__doc__, "a stream says what it reads"
    assert list((FIXTURES / name).glob("*")), f"payloads in tests/fixtures/{name}"


@pytest.mark.parametrize("name", SCRAPERS)
def test_a_stream_holds_all_its_hosts_to_its_rate(name: str) -> None:
    limited: dict[str, str] = {}

    class Client:
        def limit(self, host: str, rate: str) -> None:
            limited[host] = rate

    SCRAPERS[name](Client(), SETTINGS, SystemClock())  # type: ignore[arg-type]
    assert limited == dict.fromkeys(SCRAPERS[name].hosts, SCRAPERS[name].rate)


@pytest.mark.parametrize("name", contracts())
def test_a_dataset_declares_freshness_terms_and_what_every_field_means(name: str) -> None:
    record = contracts()[name]
    dataset, fields = record.dataset, {f.name: f for f in fields_of(record)}
    assert duration(dataset.fresh_within).total_seconds() > 0
    assert dataset.terms
    assert dataset.title
    assert dataset.event_time in fields
    assert dataset.version is None or not fields[dataset.version].nullable
    assert all(not fields[key].nullable for key in dataset.key), "a key is never null"
    assert set(dataset.unhashed) <= fields.keys()
    assert not set(dataset.unhashed) & set(dataset.key)
    assert all(f.doc for f in fields.values()), "every field says what it means"
    streams = (*SCRAPERS.values(), *NOT_POLLED)
    emitted = {r.dataset.name for stream in streams for r in stream.emits}
    assert name in emitted, "some stream delivers it"


def test_a_stream_that_is_not_polled_is_known_to_the_lineage() -> None:
    assert {(one.name, tuple(one.emits)) for one in NOT_POLLED} == {
        (one.name, one.emits) for one in UNPOLLED
    }


@pytest.mark.parametrize("name", contracts())
def test_a_contract_changes_only_in_plain_sight(name: str) -> None:
    kept = schema_file(SCHEMAS, contracts()[name])
    assert kept.exists(), "run: emdata source schemas tests/contracts/schemas --write"
    assert kept.read_text(encoding="utf-8") == schema_text(contracts()[name]), (
        "the contract differs from the kept schema; if that is meant, run "
        "`emdata source schemas tests/contracts/schemas --write` and let the change be reviewed"
    )


def test_no_schema_is_kept_of_a_dataset_that_is_gone() -> None:
    assert {file.stem for file in SCHEMAS.glob("*.json")} == set(contracts())


@pytest.mark.parametrize("payload", _payloads())
def test_a_payload_gives_valid_records(payload: Payload) -> None:
    scraper = payload.scraper
    for row in payload.outcomes(payload.body):
        assert row.rejected is None, row
        for record in row.records:
            assert type(record) in scraper.emits
            jsonschema.validate(json.loads(record.payload()), schema_of(type(record)))
            assert record.priority() in Priority
            if record.priority() is Priority.CRITICAL:
                assert record.dataset.approved_critical, "CRITICAL skips the queues"


@pytest.mark.parametrize("name", SCRAPERS)
def test_the_fixtures_of_a_stream_cover_all_its_datasets(name: str) -> None:
    seen: set[type[Record]] = set()
    for parameter in _payloads():
        payload = parameter.values[0]
        if payload.stream == name:
            seen |= {type(r) for row in payload.outcomes(payload.body) for r in row.records}
    assert seen == set(SCRAPERS[name].emits)


@pytest.mark.parametrize("payload", _payloads())
def test_fault_23_a_second_parse_says_the_same(payload: Payload) -> None:
    first = _identities(payload.outcomes(payload.body))
    assert first == _identities(payload.outcomes(payload.body))
    assert len({(name, key) for name, key, _, _ in first}) == len(first), "keys are unique"


@pytest.mark.parametrize("payload", _payloads(".json"))
def test_fault_23_white_space_and_the_order_of_members_mean_nothing(payload: Payload) -> None:
    expected = _identities(payload.outcomes(payload.body))
    loose = msgspec.json.format(payload.body, indent=5)
    dense = json.dumps(_turned(json.loads(payload.body)), separators=(",", ":")).encode()
    assert _identities(payload.outcomes(b"\r\n" + loose + b"\n\n")) == expected
    assert sorted(_identities(payload.outcomes(dense))) == sorted(expected)


def _turned(value: Any) -> Any:
    """The same JSON with the members of each object in reverse order."""
    if isinstance(value, dict):
        return {name: _turned(value[name]) for name in reversed(value)}
    return [_turned(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("change", ["renamed", "retyped"])
@pytest.mark.parametrize("payload", _payloads(".json"))
def test_fault_27_drift_ends_in_rejection_never_in_silent_nulls(
    payload: Payload, change: str
) -> None:
    document = json.loads(payload.body)
    before = payload.outcomes(payload.body)
    for name in mutate.field_names(document):
        drifted = (
            mutate.renamed(document, name, name + "New")
            if change == "renamed"
            else mutate.retyped(document, name)
        )
        try:
            after = payload.outcomes(json.dumps(drifted).encode())
        except DocumentError:
            continue
        _assert_nothing_changed_silently(before, after, f"{name} {change}")


def _assert_nothing_changed_silently(
    before: list[RowOutcome], after: list[RowOutcome], what: str
) -> None:
    known = {identity for row in before for identity in _identities([row])}
    whole = {tuple(_identities([row])) for row in before}
    for row in after:
        if row.rejected is not None or row.ignored is not None:
            continue
        assert set(_identities([row])) <= known, f"{what}: a record changed: {row.records}"
        assert tuple(_identities([row])) in whole, f"{what}: a record of the row is gone"
    if len(after) < len(before):
        assert any(row.rejected for row in after), f"{what}: rows are gone without a word"


@pytest.mark.parametrize("payload", _payloads(".json"))
def test_fault_27_a_new_field_is_additive_and_told(payload: Payload) -> None:
    body = json.dumps(mutate.added(json.loads(payload.body), "zzQuux")).encode()
    after = payload.outcomes(body)
    assert [row.rejected for row in after] == [None] * len(after)
    assert _identities(after) == _identities(payload.outcomes(payload.body))
    rows = payload.scraper.rows(document_of(body, "x"))
    if any(b"zzQuux" in bytes(raw) for raw in rows):
        assert "zzQuux" in payload.scraper.fields_unknown(document_of(body, "x"))


POISON = {
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "1e400": b"1e400",
    "lone surrogate": b'"\\ud800"',
    "nul": b'"a\\u0000b"',
    "not utf-8": b'"\xff\xfe"',
    "control byte": b'"\x01"',
    "twenty digits": b"12345678901234567890",
    "depth": b"[" * 10_000 + b"]" * 10_000,
    "broken": b'{"a":',
}


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("payload", _payloads(".json"))
def test_fault_26_a_poisonous_value_costs_its_row_only_and_keeps_its_bytes(
    payload: Payload, poison: str
) -> None:
    scraper, document = payload.scraper, document_of(payload.body, payload.path.name)
    for raw in list(scraper.rows(document))[:1]:
        before = _identities([parse_row(scraper, raw, document)])
        for poisoned in _poisoned(bytes(raw), POISON[poison]):
            row = parse_row(scraper, msgspec.Raw(poisoned), document)
            assert row.raw == poisoned
            if row.rejected is None and row.ignored is None:
                assert _identities([row]) == before, f"{poisoned[:200]!r} became a record"


def _poisoned(raw: bytes, poison: bytes) -> list[bytes]:
    """The row with each of its members replaced in turn, one level of nesting deep."""
    members = wire.envelope(raw, what="row")
    found = [_joined({**members, name: msgspec.Raw(poison)}) for name in members]
    for name, value in members.items():
        if bytes(value).startswith(b"{") and name not in mutate.FREE_FORM:
            inner = wire.envelope(bytes(value), what=name)
            for deep in inner:
                changed = _joined({**inner, deep: msgspec.Raw(poison)})
                found.append(_joined({**members, name: msgspec.Raw(changed)}))
    return found


def _joined(members: dict[str, msgspec.Raw]) -> bytes:
    pairs = (msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in members.items())
    return b"{" + b",".join(pairs) + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   \n",
        b"\xef\xbb\xbf",
        b"<!DOCTYPE html><html><body>Please wait</body></html>",
        b"<?xml version='1.0'?><error/>",
        b'{"title":"Bad Gateway","status":502,"detail":"upstream"}',
        b'{"error":{"code":400,"message":"Invalid query"}}',
        b'"text"',
        b"12",
        b"null",
        b"{",
        b"Invalid MAP_KEY.",
        b"PAR1\x00\x00",
        b"\x00\x01\x02\x03",
        b"\x1f\x8b\x08\x00garbage",
    ],
)
@pytest.mark.parametrize("name", SCRAPERS)
def test_nonsense_with_status_200_is_a_document_error(name: str, body: bytes) -> None:
    scraper = IDLE[name]
    with pytest.raises(DocumentError):
        list(scraper.rows(document_of(body, "https://example.org/x")))


@pytest.mark.parametrize("payload", _payloads(".json"))
def test_a_payload_that_was_cut_off_is_a_document_error(payload: Payload) -> None:
    body = payload.body.rstrip()
    for length in range(2, len(body), max(1, len(body) // 200)):
        with pytest.raises(DocumentError):
            list(payload.scraper.rows(document_of(body[:length], "x")))


# The columns of CoAgMet count by the order that was asked for: tests/scrapers/test_coagmet.py.
@pytest.mark.parametrize(
    "payload", [p for p in _payloads(".csv") if p.values[0].stream != "coagmet_hourly"]
)
def test_fault_27_csv_by_name_whatever_the_order_and_the_bom(payload: Payload) -> None:
    expected = _identities(payload.outcomes(payload.body))
    text = payload.body.removeprefix(wire.BOM).decode()
    table = [wire.csv_fields(line.encode()) for line in text.splitlines()]
    turned = "\n".join(",".join(f'"{cell}"' for cell in reversed(row)) for row in table)
    assert _identities(payload.outcomes(turned.encode())) == expected
    assert _identities(payload.outcomes(wire.BOM + turned.encode())) == expected
    for index, name in enumerate(table[0]):
        lines = text.splitlines()
        cells = [*table[0][:index], name + "New", *table[0][index + 1 :]]
        drifted = "\n".join([",".join(cells), *lines[1:]])
        try:
            after = payload.outcomes(drifted.encode())
        except DocumentError:
            continue
        _assert_nothing_changed_silently(payload.outcomes(payload.body), after, name)
