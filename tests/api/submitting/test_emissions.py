"""POST /emissions on real servers: who may, what is refused, what comes back, and what is away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest

from emdata.state import connect
from emdata.state.api_keys import NewKey, make_key
from emdata.state.changes import Change
from emdata.state.organizations import NewOrganization, add_organization
from runtime.tasks import state_dsn
from tests.stream_manager.door import begin, end
from tests.support.platform import Platform, running_platform
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
SERVICES = "postgres,kafka,jobmanager,taskmanager,starrocks,manager,api"
LANDED_S = 90.0


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform(SERVICES, {"EMDATA_STREAMS": "push-api"}) as running:
        yield running


class Sender:
    """An organization's key, as the header of its requests."""

    def __init__(self, platform: Platform, organization: str, *scopes: str) -> None:
        engine = connect(state_dsn(platform.context))
        now = datetime.now(UTC)
        change = Change("test", now, platform.context.credentials.audit_key.encode())
        new = NewKey(organization, "test", frozenset(scopes), now + timedelta(days=1))
        try:
            add_organization(
                engine, NewOrganization(organization, organization, "commercial"), change
            )
            self.headers = {"Authorization": f"Bearer {make_key(engine, new, change).token}"}
        finally:
            engine.dispose()
        self.base = f"http://127.0.0.1:{platform.settings.api_port}"

    def post(self, body: Any, path: str = "/emissions", **headers: str) -> httpx2.Response:
        """Post an object, a list, or bytes."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        kind = {"Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(
            self.base + path, content=content, headers={**kind, **self.headers, **named}, timeout=30
        )

    def get(self, path: str) -> Any:
        """Get JSON, redirects followed; decimals keep their digits."""
        answer = httpx2.get(
            self.base + path, headers=self.headers, follow_redirects=True, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content)


@pytest.fixture(scope="module")
def acme(platform: Platform) -> Sender:
    return Sender(platform, "acme", "read", "write")


def one(value: float, name: str | None = None, organization: str = "acme") -> dict[str, Any]:
    return {
        "organizationId": organization,
        "value": value,
        **({} if name is None else {"emissionId": name}),
    }


def items(sender: Sender, path: str) -> list[dict[str, Any]]:
    """Properties of the features of a collection."""
    return [feature["properties"] for feature in sender.get(path)["features"]]


def totals(platform: Platform, organization: str) -> list[tuple[Decimal, int]]:
    rows = platform.sql(
        "SELECT total, emission_count FROM raw_data.aggregated_emission "
        f"WHERE organization_id = '{organization}'"
    )
    return [(row["total"], row["emission_count"]) for row in rows]


def test_single_list_and_lines_are_taken_and_come_back_with_their_exact_total(
    platform: Platform, acme: Sender
) -> None:
    first = acme.post(one(0.1))
    assert first.status_code == 201, first.text
    said = first.json()
    assert said["emissionIds"] == [said["emissionId"]]
    assert first.headers["location"].endswith(
        f"/collections/emission/items/acme%7C{said['emissionId']}"
    )
    assert acme.post([one(0.2, "e2"), one(999_999_999.999999, "e3")]).json()["accepted"] == 2
    lines = b"\n".join(msgspec.json.encode(one(value)) for value in (-0.000001, 5))
    assert acme.post(lines, Content_Type="application/x-ndjson").json()["accepted"] == 2
    # The answer to this one was lost, say; and that one is corrected.
    acme.post(one(0.2, "e2"))
    acme.post({"organization_id": "acme", "emission_id": "e3", "value": 7.25},
              "/collections/emission/items")  # fmt: skip
    expected = [(Decimal("12.549999"), 5)]
    wait_for(lambda: totals(platform, "acme") == expected, LANDED_S, "the total", interval=0.3)
    wait_for(lambda: len(items(acme, "/emissions?limit=100")) == 5, LANDED_S, "items", interval=0.3)
    by_id = {row["emission_id"]: row["value"] for row in items(acme, "/emissions?limit=100")}
    assert by_id["e3"] == 7.25
    assert by_id[said["emissionId"]] == 0.1
    wait_for(
        lambda: [row["emission_count"] for row in items(acme, "/emissions/aggregated")] == [5],
        30,
        "the answer to follow its table",
        interval=0.3,
    )
    (shown,) = items(acme, "/emissions/aggregated")
    assert (shown["organization_id"], shown["emission_count"]) == ("acme", 5)
    assert Decimal(str(shown["total"])) == expected[0][0]


def test_who_has_no_key_or_no_scope_or_another_name_is_refused(
    platform: Platform, acme: Sender
) -> None:
    reader = Sender(platform, "reader", "read")
    nobody = Sender(platform, "nobody", "read")
    nobody.headers = {}
    assert nobody.post(one(1)).status_code == 401
    assert reader.post(one(1, organization="reader")).status_code == 403
    refused = acme.post([one(1), one(1, organization="reader")])
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["index"] == 1
    assert acme.post(one(1), "/collections/nws_alerts/items").status_code == 405
    assert acme.post(one(1), "/collections/no_such/items").status_code == 404
    assert totals(platform, "reader") == []


def test_fault_41_one_bad_item_takes_nothing_of_its_request(
    platform: Platform, acme: Sender
) -> None:
    before = platform.sql("SELECT COUNT(*) AS n FROM raw_data.emission")
    refused = acme.post([one(1), {**one(2), "role": "admin"}, one(0.1234567), one(1e9)])
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    found = [(error["index"], error["field"]) for error in refused.json()["errors"]]
    assert found == [(1, "role"), (2, "value"), (3, "value")]
    assert acme.post(b"value=1", Content_Type="text/plain").status_code == 415
    assert acme.post(b"[]").status_code == 422
    assert acme.post(one(1), "/emissions?organizationId=acme").status_code == 400
    assert platform.sql("SELECT COUNT(*) AS n FROM raw_data.emission") == before


def test_without_the_manager_the_sender_gets_ids_to_send_again_with_and_counts_once(
    platform: Platform,
) -> None:
    county = Sender(platform, "weld-county", "read", "write")
    body = [one(1.5, organization="weld-county"), one(2.5, organization="weld-county")]
    taken = county.post(body, Idempotency_Key="march")
    assert taken.status_code == 201, taken.text
    end(platform, "manager")
    try:
        refused = county.post(body, Idempotency_Key="march")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        ids = refused.json()["emissionIds"]
        assert ids == taken.json()["emissionIds"]
        other = county.post([one(4, organization="weld-county")])
        assert other.status_code == 503
    finally:
        begin(platform, "manager")

    def again() -> bool:
        return county.post(body, Idempotency_Key="march").status_code == 201

    wait_for(again, 60, "the API to reach the manager again")
    (name,) = other.json()["emissionIds"]
    assert county.post([one(4, name, "weld-county")]).status_code == 201
    expected = [(Decimal("8.000000"), 3)]
    wait_for(lambda: totals(platform, "weld-county") == expected, LANDED_S, "the total")
