"""Every route x every role (row 40): what each may is declared here, and a new route has to be too.

Roles: nobody, a key of each class, a member of the tenant TENANT, keys with other scopes, and keys
that are over. ``allowed`` means: let through to the route itself, whatever it then answers.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from enum import Enum, auto

import pytest
from starlette.routing import BaseRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import api.routers
from tests.api.access.live import CLASSES, OWNED, TENANT, Answer, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PUBLIC_ONE = "fema_disaster_declarations"


class Rule(Enum):
    """Who is let through."""

    PROBE = auto()  # everybody, whatever they say they are
    OPEN = auto()  # everybody, but keys that are over
    READ = auto()  # as OPEN, but keys without the scope read
    KNOWN = auto()  # as READ, but not nobody
    WRITE = auto()
    KEYS = auto()
    ADMIN = auto()


TABLE: dict[str, Rule] = {
    "GET /health": Rule.PROBE,
    "GET /ready": Rule.PROBE,
    "GET /": Rule.OPEN,
    "GET /api": Rule.OPEN,
    "GET /openapi.json": Rule.OPEN,
    "GET /conformance": Rule.OPEN,
    "GET /me": Rule.OPEN,
    "GET /problems": Rule.OPEN,
    "GET /problems/{kind}": Rule.OPEN,
    "GET /collections": Rule.OPEN,
    "GET /collections/{collection_id}": Rule.READ,
    "GET /collections/{collection_id}/queryables": Rule.READ,
    "GET /collections/{collection_id}/schema": Rule.READ,
    "GET /collections/{collection_id}/items": Rule.READ,
    "GET /collections/{collection_id}/items/{key:path}": Rule.READ,
    "GET /collections/{collection_id}/items/{key:path}/versions": Rule.READ,
    "GET /collections/{collection_id}/export": Rule.READ,
    "GET /collections/{collection_id}/stream": Rule.READ,
    "WS /collections/{collection_id}/socket": Rule.READ,
    "POST /collections/{collection_id}/items": Rule.WRITE,
    "GET /bulk": Rule.OPEN,
    "GET /bulk/{dataset}": Rule.READ,
    "GET /bulk/{dataset}/{day}": Rule.READ,
    "GET /bulk/{dataset}/{day}/{file}": Rule.READ,
    "GET /sources": Rule.OPEN,
    "GET /ledger": Rule.OPEN,
    "GET /usage": Rule.KNOWN,
    "GET /usage/chart": Rule.ADMIN,
    "GET /docs": Rule.OPEN,
    "GET /assets/{name}": Rule.OPEN,
    "GET /summaries/alerts-in-force": Rule.READ,
    "GET /summaries/alerts-in-force/county/{fips}": Rule.READ,
    "GET /summaries/alerts-in-force/point": Rule.READ,
    "GET /summaries/disasters": Rule.READ,
    "GET /summaries/drought/county/{fips}": Rule.READ,
    "GET /summaries/drought/state/{state}": Rule.READ,
    "GET /summaries/weather": Rule.READ,
    "POST /emissions": Rule.WRITE,
    "GET /emissions": Rule.READ,
    "GET /emissions/aggregated": Rule.READ,
    "GET /keys": Rule.KEYS,
    "POST /keys": Rule.KEYS,
    "POST /keys/public": Rule.OPEN,
    "POST /keys/{key_id}/rotate": Rule.KEYS,
    "DELETE /keys/{key_id}": Rule.KEYS,
    "GET /organizations": Rule.ADMIN,
    "POST /organizations": Rule.ADMIN,
    "GET /organizations/{organization_id}": Rule.ADMIN,
    "PATCH /organizations/{organization_id}": Rule.ADMIN,
    "POST /organizations/{organization_id}/keys": Rule.ADMIN,
    "GET /policies": Rule.ADMIN,
    "PATCH /policies/{organization_class}": Rule.ADMIN,
    "GET /tenants": Rule.ADMIN,
    "PUT /tenants/{tenant_id}": Rule.ADMIN,
    "POST /revocations": Rule.ADMIN,
    "GET /audit": Rule.ADMIN,
}
OVER = ("expired", "revoked", "elsewhere", "forged")
ROLES = ("anonymous", *CLASSES, "member", "keeper", "writer", "admin", *OVER)
_MAY = {
    Rule.KNOWN: {*ROLES} - {"anonymous", "writer"},
    Rule.KEYS: {"keeper", "admin"},
    Rule.WRITE: {"writer", "admin"},
    Rule.ADMIN: {"admin"},
    Rule.READ: {*ROLES} - {"writer"},
}
_VALUES = {
    "kind": "not-found", "name": "nothing.js", "key:path": "nothing", "day": "2026-11-20",
    "file": "data.parquet", "key_id": "zzzzzzzzzzzz", "organization_id": "academic",
    "organization_class": "public", "tenant_id": "county", "fips": "08013", "state": "CO",
}  # fmt: skip
_QUERIES = {"/stream": "?limit=0&seconds=0", "/weather": "?lat=40&lon=-105",
            "/point": "?lat=40&lon=-105"}  # fmt: skip


def routes() -> Iterator[tuple[str, str]]:
    """Every route that the application serves, also those that no document names."""
    for info in pkgutil.iter_modules(api.routers.__path__):
        for route in importlib.import_module(f"api.routers.{info.name}").router.routes:
            for method in methods(route):
                yield method, str(getattr(route, "path", ""))


def methods(route: BaseRoute) -> list[str]:
    return sorted(getattr(route, "methods", None) or {"WS"})


def expected(rule: Rule, role: str) -> int | None:
    """The status that refuses, None: let through."""
    if rule is Rule.PROBE:
        return None
    if role in OVER:
        return 401
    if rule is Rule.OPEN or role in _MAY[rule]:
        return None
    return 401 if role == "anonymous" else 403


def address(path: str, collection: str) -> str:
    for name, value in {**_VALUES, "collection_id": collection, "dataset": collection}.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, f"{path}: give its parameter a value here"
    return path + next((text for end, text in _QUERIES.items() if path.endswith(end)), "")


def ask(world: World, method: str, path: str, role: str) -> Answer:
    token = f"emdata_{'z' * 12}_{'x' * 43}" if role == "forged" else world.tokens.get(role)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if method == "WS":
        return ask_socket(world, path, headers)
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return world.ask(path, method=method, body=body, headers=headers)


def ask_socket(world: World, path: str, headers: dict[str, str]) -> Answer:
    target = f"ws://127.0.0.1:{world.platform.settings.api_port}{path}?limit=0&seconds=0"
    try:
        with connect(target, additional_headers=headers, open_timeout=30):
            return Answer(101, {}, b"")
    except InvalidStatus as error:
        response = error.response
        return Answer(response.status_code, dict(response.headers), bytes(response.body or b""))


def is_hidden(answer: Answer) -> bool:
    """Whether the collection is said not to be there, as for any made-up name."""
    return answer.status == 404 and (b"is unknown" in answer.body or not answer.body)


def test_every_route_says_who_may_use_it() -> None:
    found = {f"{method} {path}" for method, path in routes()}
    assert found - TABLE.keys() == set(), "say in TABLE who may use these"
    assert TABLE.keys() - found == set(), "these are gone"


@pytest.mark.parametrize("role", ROLES)
def test_fault_40_each_role_is_let_to_its_routes_and_to_no_other(world: World, role: str) -> None:
    wrong = {}
    for name, rule in TABLE.items():
        method, _, path = name.partition(" ")
        answer = ask(world, method, address(path, PUBLIC_ONE), role)
        wanted = expected(rule, role)
        is_right = (
            answer.status == wanted
            if wanted is not None
            else answer.status not in (401, 403) and not is_hidden_by_mistake(path, answer)
        )
        if not is_right:
            wrong[name] = (answer.status, wanted, answer.body[:120])
    assert wrong == {}


@pytest.mark.parametrize("role", ["anonymous", "member", "writer", "admin", "revoked"])
@pytest.mark.parametrize("collection", [PUBLIC_ONE, OWNED])
def test_fault_40_head_is_answered_as_get_is(world: World, role: str, collection: str) -> None:
    wrong = {}
    for name in TABLE:
        method, _, path = name.partition(" ")
        if method == "GET" and not path.endswith("/stream"):  # Kafka is away here
            there = address(path, collection)
            head, get = ask(world, "HEAD", there, role), ask(world, "GET", there, role)
            kinds = [{k.lower(): v for k, v in one.headers.items()} for one in (head, get)]
            same = [(one["content-type"], one.get("etag")) for one in kinds]
            if head.status != get.status or head.body or same[0] != same[1]:
                wrong[name] = (head.status, get.status, *same)
    assert wrong == {}


def is_hidden_by_mistake(path: str, answer: Answer) -> bool:
    return "{collection_id}" in path and is_hidden(answer)


@pytest.mark.parametrize("role", ROLES)
def test_fault_40_a_tenant_s_collection_is_there_for_its_members_alone(
    world: World, role: str
) -> None:
    wrong = {}
    for name, rule in TABLE.items():
        method, _, path = name.partition(" ")
        if "{collection_id}" not in path and "{dataset}" not in path:
            continue
        answer = ask(world, method, address(path, OWNED), role)
        refused = expected(rule, role)
        if role == "member" and refused is None:
            is_right = answer.status != 403 and not is_hidden_by_mistake(path, answer)
        elif role in OVER or refused is not None:
            is_right = answer.status in (401, 403, 404)
        else:
            is_right = is_hidden(answer)
        if not is_right:
            wrong[name] = (answer.status, answer.body[:120])
    assert wrong == {}


@pytest.mark.parametrize(
    ("role", "organization", "is_theirs"),
    [
        ("writer", "academic", True),
        ("writer", "government", False),
        ("writer", TENANT, False),
        ("county-writer", "county-lab", True),
        ("county-writer", TENANT, True),
        ("county-writer", "academic", False),
        ("admin", "academic", True),
    ],
)
def test_fault_40_what_is_pushed_is_the_sender_s_or_of_a_tenant_of_the_sender(
    world: World, role: str, organization: str, is_theirs: bool
) -> None:
    if "county-writer" not in world.tokens:
        world.make("county-writer", "county-lab", "write")
    body = {"organizationId": organization, "value": 1}
    answer = world.ask("/emissions", role, method="POST", body=body)
    # No manager runs here: what is let through cannot be made durable.
    assert answer.status == (503 if is_theirs else 403), answer.body


@pytest.mark.parametrize("organization", ["operator", "government", "*"])
def test_fault_40_the_usage_of_others_is_for_administrators(
    world: World, organization: str
) -> None:
    path = f"/usage?organization={organization}"
    for role in ("academic", "member", "keeper"):
        assert world.ask(path, role).status == 403
    assert world.ask(path, "admin").status not in (401, 403)


@pytest.mark.parametrize("path", ["/collections", "/bulk", "/", "/api", "/openapi.json"])
def test_fault_40_lists_name_a_tenant_s_collection_to_its_members_alone(
    world: World, path: str
) -> None:
    for role in ("anonymous", *CLASSES, "admin"):
        assert OWNED.encode() not in world.ask(path, role).body, role


def test_fault_40_reads_of_a_tenant_s_collection_are_in_the_audit_log(world: World) -> None:
    answer = world.ask(f"/collections/{OWNED}?f=json", "member")
    entries = world.ask("/audit?limit=50", "admin").json["entries"]
    reads = [one for one in entries if one["act"] == "data.read" and one["subject"] == OWNED]
    assert answer.status == 200
    assert reads[0]["actor"] == f"county-lab/key:{world.ids['member']}"
