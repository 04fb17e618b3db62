"""What travels: one flat JSON object and CloudEvents headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts import contract
from emdata.derive.types import META, columns_of
from emdata.envelope import Accepted, Draft, Regions, kafka_headers, kafka_value
from tests.stream_manager import making
from tests.stream_manager.making import draft

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def accepted(**changes: object) -> Accepted:
    return msgspec.structs.replace(making.accepted(draft(1), writer=3, seq=7), **changes)


@given(TEXT, st.none() | TEXT, TEXT)
def test_the_value_is_one_flat_object_whatever_the_texts(
    key: str, version: str | None, text: str
) -> None:
    payload = msgspec.json.encode({"text": text})
    record = accepted(record_key=key, record_version=version, payload=payload)
    value = json.loads(kafka_value(record))
    assert list(value) == [column.name for column in META] + ["text"]
    assert (value["record_key"], value["record_version"], value["text"]) == (key, version, text)


def test_the_value_has_the_columns_of_the_table_in_order() -> None:
    kind = contract("fema_disaster_declarations")
    record = kind(  # type: ignore[call-arg]
        disaster_number=4659, place_code="0", refreshed_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    value = json.loads(kafka_value(accepted(payload=record.payload())))
    assert list(value) == [column.name for column in columns_of(kind)]
    assert value["accepted_on"] == "2026-11-21"
    assert value["content_hash"] == accepted().content_hash.hex()
    assert (value["writer"], value["seq"], value["is_simulated"]) == (3, 7, True)


def test_an_empty_payload_still_gives_an_object() -> None:
    assert json.loads(kafka_value(accepted(payload=b"{}")))["seq"] == 7


def test_the_headers_are_cloud_events_in_binary_mode() -> None:
    headers = dict(kafka_headers(accepted(priority=0), Regions(("CO",))))
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"3-made_things-7",
        "ce_source": b"/emdata/writers/3/made",
        "ce_type": b"emdata.made_things",
        "ce_time": b"2026-11-21T09:14:10.000000Z",
        "content-type": b"application/json",
        "emdata_priority": b"CRITICAL",
        "emdata_simulated": b"true",
    }


@pytest.mark.parametrize(
    ("home", "relevance"), [(("CO", "UT"), b"home"), (("WY",), b"other"), (("ALL",), b"home")]
)
def test_the_headers_say_which_state_it_is_about_and_whether_it_is_ours(
    home: tuple[str, ...], relevance: bytes
) -> None:
    headers = dict(kafka_headers(accepted(region="CO"), Regions(home)))
    assert headers["emdata_region"] == b"CO"
    assert headers["emdata_region_relevance"] == relevance


def test_acceptance_adds_the_identity_and_keeps_the_rest() -> None:
    before = draft(1)
    after = making.accepted(before, writer=3, seq=7)
    for name in Draft.__struct_fields__:
        assert getattr(after, name) == getattr(before, name)
    assert (after.writer, after.seq, after.accepted_on) == (3, 7, "2026-11-21")
