"""A pushed row goes to a tenant only by who belongs to that tenant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated as A  # noqa: N817
from typing import Any, ClassVar, cast

import pytest
from fastapi import Request

from api.access.caller import ADMIN, WRITE, Caller, Policy
from api.context import Api
from api.problems import Problem
from api.submitting.door import Answer
from api.submitting.model import Form
from api.submitting.submit import submitted
from emdata.contracts.base import Dataset, Doc, Record, Submitted, UtcDatetime

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Reading(Record, frozen=True, kw_only=True):
    """A row that belongs to a tenant."""

    tenant: A[str, Doc("Whose it is")]
    organization_id: A[str, Doc("Who reports")]
    reading_id: A[str, Doc("Its id")]
    received_at: A[UtcDatetime, Doc("When it came")]

    dataset: ClassVar[Dataset] = Dataset(
        name="test_readings",
        source="test",
        domain="environment",
        title="Readings",
        key=("tenant", "organization_id", "reading_id"),
        unhashed=("received_at",),
        event_time="received_at",
        fresh_within="1d",
        terms="none",
        tenant_column="tenant",
        submitted=Submitted(made="reading_id", received="received_at", reporter="organization_id"),
    )


class Taken:
    """A door that keeps what it takes."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    async def post(self, _dataset: str, payloads: list[bytes]) -> Answer:
        self.payloads += payloads
        return Answer(len(payloads))


async def push(door: Taken, rows: list[dict[str, str]], *scopes: str) -> dict[str, Any]:
    body = json.dumps(rows).encode()
    headers = [(b"content-type", b"application/json")]
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "headers": headers, "query_string": b"", "path": "/",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    parts = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), door=door, is_simulated=True)
    caller = Caller(
        "lab", "academic", Policy("academic"),
        scopes=frozenset({WRITE, *scopes}), tenants=frozenset({"county"}),
    )  # fmt: skip
    request = Request(scope, receive)
    return await submitted(request, cast(Api, parts), caller, Form(Reading), None)


def row(tenant: str, organization: str = "lab") -> dict[str, str]:
    return {"tenant": tenant, "organization_id": organization}


@pytest.mark.parametrize("tenant", ["county", "public"])
async def test_rows_of_the_senders_tenant_and_of_everybody_are_taken(tenant: str) -> None:
    door = Taken()
    assert (await push(door, [row(tenant)]))["accepted"] == 1
    assert json.loads(door.payloads[0])["tenant"] == tenant


@pytest.mark.parametrize(("tenant", "organization"), [("state", "lab"), ("county", "state")])
async def test_fault_40_one_row_for_another_tenant_takes_nothing_of_its_request(
    tenant: str, organization: str
) -> None:
    door = Taken()
    with pytest.raises(Problem) as problem:
        await push(door, [row("county"), row(tenant, organization)])
    assert problem.value.status == 403
    assert problem.value.extra["errors"][0]["index"] == 1
    assert "'state' is not yours" in problem.value.detail
    assert door.payloads == []


async def test_an_administrator_pushes_for_anybody() -> None:
    door = Taken()
    assert (await push(door, [row("state", "state")], ADMIN))["accepted"] == 1
