"""Keys: what is taken, what is refused, and that a refusal says nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from api.access.caller import OPERATOR
from api.access.identity import REFUSED, Identity
from api.access.keys import is_right, parts_of
from api.access.network import client_address, network_of, networks
from api.problems import Problem
from emdata.clock import SystemClock
from emdata.errors import StateUnavailable
from emdata.state.access import Rules
from tests.api.access.known import LAB, PREFIX, SECRET, Known, a_key, bearer, scope

TOKEN = f"emdata_{PREFIX}_{SECRET}"


def identity(known: Known, *trusted: str) -> Identity:
    return Identity(known, None, SystemClock(), networks(trusted))  # type: ignore[arg-type]


async def refusal(known: Known, asked: dict[str, Any], *trusted: str) -> Problem:
    with pytest.raises(Problem) as caught:
        await identity(known, *trusted).caller(asked)
    return caught.value


@pytest.mark.parametrize(
    "header", [bearer(TOKEN), ("X-API-Key", TOKEN), ("authorization", f"bearer  {TOKEN}")]
)
async def test_a_key_is_its_organization(header: tuple[str, str]) -> None:
    caller = await identity(Known()).caller(scope(header))
    assert (caller.organization, caller.organization_class, caller.key_id) == (
        "lab", "academic", PREFIX,
    )  # fmt: skip
    assert caller.scopes == {"read"}
    assert caller.tenants == {"lab"}
    assert not caller.is_anonymous


async def test_nobody_is_anonymous_and_sees_no_collection_of_a_tenant() -> None:
    known = Known()
    known.known_rules = Rules({}, {"weather": "lab", "emission": "county"}, {})
    caller = await identity(known).caller(scope())
    assert caller.is_anonymous
    assert caller.hidden == {"weather", "emission"}
    member = await identity(known).caller(scope(bearer(TOKEN)))
    assert (member.hidden, member.owned) == ({"emission"}, {"weather"})


async def test_administrators_belong_to_the_operator() -> None:
    known = Known()
    known.keys[PREFIX] = (a_key(scopes=frozenset({"read", "admin"})), LAB)
    assert OPERATOR in (await identity(known).caller(scope(bearer(TOKEN)))).tenants


def now() -> datetime:
    return datetime.now(UTC)


BAD_KEYS: dict[str, Callable[[], Any]] = {
    "expired": lambda: (a_key(expires_at=now() - timedelta(seconds=1)), LAB),
    "revoked": lambda: (a_key(revoked_at=now()), LAB),
    "of an organization that is off": lambda: (a_key(), replace(LAB, is_active=False)),
    "another secret": lambda: (a_key(secret_hash=bytes(32)), LAB),
    "from another network": lambda: (a_key(networks=("198.51.100.0/24",)), LAB),
}


@pytest.mark.parametrize("what", BAD_KEYS)
async def test_fault_39_a_key_that_is_over_gets_the_same_answer_as_none(what: str) -> None:
    known = Known()
    known.keys[PREFIX] = BAD_KEYS[what]()
    problem = await refusal(known, scope(bearer(TOKEN)))
    assert (problem.status, problem.detail) == (401, REFUSED)


@pytest.mark.parametrize(
    "headers",
    [
        [bearer("emdata_" + "z" * 12 + "_" + SECRET)],
        [bearer(TOKEN[:-1])],
        [bearer(TOKEN + "x")],
        [bearer(TOKEN.upper())],
        [bearer("emdata_push_" + SECRET)],
        [bearer("")],
        [("Authorization", "Basic dXNlcjpwYXNz")],
        [("Authorization", TOKEN)],
        [("Authorization", "Bearer")],
        [("X-API-Key", "")],
        [("X-API-Key", "x" * 100_000)],
        [("X-API-Key", "eyJhbGciOiJub25lIn0.e30.")],
        [bearer(TOKEN), ("X-API-Key", TOKEN)],
        [bearer(TOKEN), bearer(TOKEN)],
        [("Authorization", "Bearer \u00e9\u00ff\u0000")],
    ],
)
async def test_fault_39_what_is_no_key_gets_the_same_answer(
    headers: list[tuple[str, str]],
) -> None:
    problem = await refusal(Known(), scope(*headers))
    assert (problem.status, problem.detail) == (401, REFUSED)


@pytest.mark.parametrize(
    "query",
    [
        f"api_key={TOKEN}",
        "apikey=x",
        "limit=5&access_token=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.x",
        f"anything={TOKEN}",
        "anything=eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.x",
        "api%5fkey=x",
        "TOKEN=x",
        "X-API-Key=",
    ],
)
async def test_fault_39_a_secret_in_the_address_is_refused_with_a_hint(query: str) -> None:
    problem = await refusal(Known(), scope(query=query))
    assert problem.status == 400
    assert "X-API-Key" in problem.detail
    assert SECRET not in str(problem.extra) + problem.detail


@pytest.mark.parametrize("query", ["state=CO", "monkey=1", "keyword=%20x", "filter=key='a'"])
async def test_other_parameters_are_no_secrets(query: str) -> None:
    assert (await identity(Known()).caller(scope(query=query))).is_anonymous


async def test_while_postgresql_is_away_a_key_that_is_not_known_cannot_be_judged() -> None:
    known = Known()
    known.is_away = True
    with pytest.raises(StateUnavailable):
        await identity(known).caller(scope(bearer(TOKEN)))
    assert (await identity(known).caller(scope())).is_anonymous


async def test_what_no_key_looks_like_is_never_asked_for() -> None:
    known = Known()
    for text in ("emdata_x", "emdata_" + "'" * 12 + "_" + SECRET, "emdata_" + "a" * 500):
        await refusal(known, scope(bearer(text)))
    assert known.asked == []


def test_fault_39_a_wrong_secret_takes_as_long_however_much_of_it_is_right() -> None:
    key = a_key()

    def seconds(secret: str) -> float:
        at = now()
        times = []
        for _ in range(400):
            began = time.perf_counter()
            is_right(key, secret, at)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    far, near = seconds("t" + SECRET[1:]), seconds(SECRET[:-1] + "t")
    # The hash of both is compared, and hashes of near secrets are not near.
    assert 0.5 < far / near < 2
    assert is_right(key, SECRET, now())
    assert not is_right(None, SECRET, now())


def test_a_key_s_text_has_two_parts() -> None:
    assert parts_of(TOKEN) == (PREFIX, SECRET)
    assert parts_of(TOKEN + "\n") is None
    tricky = "_-" * 21 + "_"
    assert parts_of(f"emdata_{PREFIX}_{tricky}") == (PREFIX, tricky)


FORWARDED = [
    # connected, X-Forwarded-For, trusted, the client
    ("192.0.2.7", "10.9.9.9", (), "192.0.2.7"),
    ("192.0.2.7", "10.9.9.9", ("10.0.0.0/8",), "192.0.2.7"),
    ("10.0.0.1", "203.0.113.5", ("10.0.0.0/8",), "203.0.113.5"),
    ("10.0.0.1", "1.2.3.4, 203.0.113.5", ("10.0.0.0/8",), "203.0.113.5"),
    ("10.0.0.1", "1.2.3.4, 203.0.113.5, 10.0.0.9", ("10.0.0.0/8",), "203.0.113.5"),
    ("10.0.0.1", "[2001:db8::1]:443", ("10.0.0.0/8",), "2001:db8::1"),
    ("10.0.0.1", "203.0.113.5:8080", ("10.0.0.0/8",), "203.0.113.5"),
    ("::ffff:10.0.0.1", "203.0.113.5", ("10.0.0.0/8",), "203.0.113.5"),
    ("10.0.0.1", "garbage, 10.0.0.3", ("10.0.0.0/8",), "10.0.0.3"),
    ("10.0.0.1", "", ("10.0.0.0/8",), "10.0.0.1"),
]


@pytest.mark.parametrize(("connected", "said", "trusted", "client"), FORWARDED)
def test_only_trusted_proxies_say_who_the_client_is(
    connected: str, said: str, trusted: tuple[str, ...], client: str
) -> None:
    asked = scope(("X-Forwarded-For", said), client=connected)
    assert client_address(asked, networks(trusted)) == ip_address(client)


async def test_an_allow_list_looks_at_the_client_and_not_at_what_it_says() -> None:
    known = Known()
    known.keys[PREFIX] = (a_key(networks=("198.51.100.0/24", "2001:db8::/32")), LAB)
    said = ("X-Forwarded-For", "198.51.100.7")
    assert (await refusal(known, scope(bearer(TOKEN), said))).status == 401
    here = scope(bearer(TOKEN), client="198.51.100.7")
    assert (await identity(known).caller(here)).organization == "lab"
    behind = scope(bearer(TOKEN), said, client="10.0.0.1")
    assert (await identity(known, "10.0.0.0/8").caller(behind)).organization == "lab"


def test_limits_count_a_network_as_one_client() -> None:
    assert network_of(ip_address("192.0.2.7")) == "192.0.2.0/24"
    assert network_of(ip_address("2001:db8:1:2::7")) == "2001:db8:1::/56"


async def test_fault_39_who_is_asked_again_is_who_they_are_now() -> None:
    known = Known()
    who = identity(known)
    caller, nobody = await who.caller(scope(bearer(TOKEN))), await who.caller(scope())
    assert await who.is_still(caller)
    assert await who.is_still(nobody)
    known.known_rules = Rules({}, {"weather": "lab"}, {})  # it belongs to a tenant now
    assert (await who.is_still(caller), await who.is_still(nobody)) == (True, False)
    for changed in (
        (a_key(revoked_at=now()), LAB),
        (a_key(), replace(LAB, is_active=False)),
        (a_key(), replace(LAB, tenants=frozenset())),
        None,
    ):
        known.keys = {} if changed is None else {PREFIX: changed}
        assert not await who.is_still(caller)
