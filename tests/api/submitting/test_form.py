"""What a submitted body may be: members, faults by item and field, ids that make retries safe."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api.problems import Problem
from api.submitting import body as bodies
from api.submitting.body import rows_of
from api.submitting.model import Fault, Form, Item
from emdata.contracts.base import json_decoder
from emdata.contracts.emissions import Emission
from emdata.contracts.iot import IotSensorReading
from emdata.errors import ContractError

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
CAMEL, SNAKE = Form(Emission, "camel"), Form(Emission)
GOOD = {"organizationId": "acme", "value": 12.5}


def read(
    *rows: Any, form: Form = CAMEL, retry: str | None = None
) -> tuple[list[Item], list[Fault]]:
    texts = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    raws = [msgspec.Raw(text) for text in texts]
    return form.read(raws, AT, retry)


def fault(row: Any, form: Form = CAMEL) -> Fault:
    items, (one,) = read(GOOD, row, form=form) if form is CAMEL else read(row, form=form)
    assert len(items) == (1 if form is CAMEL else 0)
    return one


def test_an_item_becomes_the_record_that_the_contract_says() -> None:
    (item,), faults = read({**GOOD, "emissionId": "e1"})
    assert faults == []
    record = json_decoder(Emission).decode(item.payload)
    assert record == Emission(organization_id="acme", emission_id="e1", value=12.5, reported_at=AT)
    assert (item.key, item.id, item.reporter) == ("acme|e1", "e1", "acme")


def test_the_contract_s_own_names_are_those_of_the_general_form() -> None:
    (item,), faults = read({"organization_id": "acme", "value": 1}, form=SNAKE)
    assert faults == []
    assert item.key == f"acme|{item.id}"
    assert fault(GOOD, form=SNAKE).reason.startswith("Object contains unknown field")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"value": "12"}, "value"),
        ({"value": 1e9}, "value"),
        ({"value": 0.1234567}, "value"),
        ({"value": None}, "value"),
        ({"organizationId": ""}, "organizationId"),
        ({"organizationId": 7}, "organizationId"),
        ({"emissionId": "a|b"}, "emissionId"),
        ({"reportedAt": "2026-11-01T00:00:00Z"}, "reportedAt"),
        ({"role": "admin"}, "role"),
        ({"tenant": "x"}, "tenant"),
    ],
)
def test_fault_41_what_is_wrong_is_told_by_item_and_member(
    changes: dict[str, Any], field: str
) -> None:
    found = fault({**GOOD, **changes})
    assert (found.index, found.field) == (1, field)
    assert found.reason


@pytest.mark.parametrize("row", [b"1", b"[]", b'"x"', b"null", b"{", b"{}", b"[" * 5000])
def test_what_is_no_object_is_a_fault_of_its_item(row: bytes) -> None:
    assert fault(row).index == 1


def test_two_items_of_one_key_in_a_request_are_told() -> None:
    _, (found,) = read({**GOOD, "emissionId": "e1"}, GOOD, {**GOOD, "emissionId": "e1", "value": 3})
    assert (found.index, found.reason) == (2, "'acme|e1' is in this request twice")


def test_a_named_request_gives_the_same_ids_again_and_another_does_not() -> None:
    first, again = read(GOOD, GOOD, retry="acme\n1")[0], read(GOOD, GOOD, retry="acme\n1")[0]
    assert [item.id for item in first] == [item.id for item in again]
    other = read(GOOD, GOOD, retry="acme\n2")[0] + read(GOOD, GOOD)[0]
    assert len({item.id for item in first + other}) == 6


@given(st.dictionaries(st.text(max_size=12), st.floats() | st.text(max_size=5) | st.none()))
def test_any_object_is_taken_or_refused_with_a_reason(row: dict[str, Any]) -> None:
    items, faults = read(row)
    assert len(items) + len(faults) == 1
    assert all(one.reason for one in faults)


def test_a_dataset_that_nobody_submits_has_no_form() -> None:
    with pytest.raises(ContractError, match="submitted"):
        read(GOOD, form=Form(IotSensorReading))


def rows(content: bytes, kind: str | None = "application/json") -> tuple[list[bytes], bool]:
    headers = [] if kind is None else [(b"content-type", kind.encode())]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    found, is_single = asyncio.run(rows_of(request))
    return [bytes(one) for one in found], is_single


def test_an_object_an_array_and_lines_are_read() -> None:
    assert rows(b' {"a": 1}') == ([b' {"a": 1}'], True)
    assert rows(b'{"a": 1}', None) == ([b'{"a": 1}'], True)
    assert rows(b'[{"a": 1}, {"a": 2}]') == ([b'{"a": 1}', b'{"a": 2}'], False)
    lines = b'{"a": 1}\r\n\n{"a": 2}\n'
    assert rows(lines, "application/x-ndjson; charset=utf-8") == (
        [b'{"a": 1}\r', b'{"a": 2}'], False
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "kind", "problem"),
    [
        (b"", "application/json", "bad-body"),
        (b"[]", "application/json", "bad-body"),
        (b"12", "application/json", "bad-body"),
        (b"[1,", "application/json", "bad-body"),
        (b"[" * 100_000, "application/json", "bad-body"),
        (b"\n \n", "application/x-ndjson", "bad-body"),
        (b"a=1", "application/x-www-form-urlencoded", "unsupported-media-type"),
        (b"{}\n" * (bodies.MAX_ITEMS + 1), "application/x-ndjson", "too-large"),
        (b" " * (bodies.MAX_BYTES + 1), "application/json", "too-large"),
    ],
)
def test_fault_50_any_other_body_is_a_problem_that_names_what_is_allowed(
    content: bytes, kind: str, problem: str
) -> None:
    with pytest.raises(Problem) as caught:
        rows(content, kind)
    assert caught.value.kind == problem
