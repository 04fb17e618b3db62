"""Keys on a running platform: made, used, rotated, revoked; every change within seconds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emdata.state.audit_chain import verify
from emdata.state.organizations import NewOrganization, add_organization
from tests.api.access.live import OWNED, World
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PROMISED_SECONDS = 60.0


def status(world: World, token: str, path: str = "/me") -> int:
    return world.ask(path, headers={"Authorization": f"Bearer {token}"}).status


def test_me_says_who_one_is(world: World) -> None:
    me = world.ask("/me", "member").json
    assert (me["organization"], me["organizationClass"]) == ("county-lab", "academic")
    assert (me["scopes"], me["tenants"], me["key"]) == (["read"], ["county"], world.ids["member"])
    assert me["limits"]["rowsPerPage"] == 10_000
    assert world.ask("/me").json["isAnonymous"] is True


def test_a_key_is_made_used_rotated_and_revoked_by_its_organization(world: World) -> None:
    body = {"label": "dashboard", "scopes": ["read"], "days": 30}
    made = world.ask("/keys", "keeper", method="POST", body=body)
    assert made.status == 201, made.body
    assert made.headers["cache-control"] == "no-store"
    token, shown = made.json["token"], made.json["key"]
    assert status(world, token) == 200
    assert token not in world.ask("/keys", "keeper").body.decode()
    assert shown["id"] in [one["id"] for one in world.ask("/keys", "keeper").json["keys"]]
    path = f"/keys/{shown['id']}"
    rotated = world.ask(f"{path}/rotate", "keeper", method="POST", body={"overlapHours": 1})
    assert rotated.status == 201
    assert rotated.json["key"]["rotatedFrom"] == shown["id"]
    assert (status(world, token), status(world, rotated.json["token"])) == (200, 200)
    again = f"/keys/{rotated.json['key']['id']}"
    last = world.ask(f"{again}/rotate", "keeper", method="POST", body={"overlapHours": 0})
    over = rotated.json["token"]
    wait_for(lambda: status(world, over) == 401, PROMISED_SECONDS, "the rotated key to end")
    assert world.ask(path, "keeper", method="DELETE").status == 204
    wait_for(lambda: status(world, token) == 401, PROMISED_SECONDS, "the revoked key to end")
    assert status(world, last.json["token"]) == 200


def test_fault_39_a_revoked_key_is_refused_within_seconds(world: World) -> None:
    made = world.make("passing", "academic", "read")
    assert status(world, made.token) == 200
    assert world.ask(f"/keys/{made.key.prefix}", "admin", method="DELETE").status == 204
    wait_for(lambda: status(world, made.token) == 401, 5, "the key to end")


def test_fault_39_only_hashes_are_stored(world: World) -> None:
    tables = world.platform.state_sql(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    secrets = {token.split("_", 2)[2] for token in world.tokens.values()}
    for table in tables:
        rows = world.platform.state_sql(f'SELECT * FROM "{table["table_name"]}"')
        text = json.dumps(rows, default=str)
        assert not [secret for secret in secrets if secret in text], table


def test_fault_39_scopes_limit_a_key(world: World) -> None:
    assert world.ask("/keys", "academic").status == 403
    assert world.ask(f"/collections/{OWNED}", "writer").status == 404
    assert world.ask("/collections/emission", "writer").status == 403
    assert world.ask("/organizations", "keeper").status == 403
    for role in ("expired", "revoked", "elsewhere"):
        assert world.ask("/organizations", role).status == 401


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"label": "x", "scopes": ["read", "admin"]}, 403),
        ({"label": "x", "scopes": ["write"]}, 403),
        ({"label": "x", "scopes": ["root"]}, 422),
        ({"label": "x", "scopes": []}, 422),
        ({"label": "x", "days": 4000}, 422),
        ({"label": "x", "days": 366}, 422),
        ({"label": "line\nbreak"}, 422),
        ({"label": ""}, 422),
        ({"label": "x", "networks": ["everywhere"]}, 422),
        ({"label": "x", "organization": "operator"}, 422),
        ({"label": "x", "role": "admin"}, 422),
        ({"label": "x", "tenantId": "county"}, 422),
        ({"label": "x", "createdBy": "operator"}, 422),
        ({}, 422),
        ([], 422),
        (b"{", 422),
        (b'{"label": "\\ud800"}', 422),
        (b"\xff\xfe", 422),
    ],
)
def test_fault_41_a_key_is_made_of_what_its_maker_may_say_and_has(
    world: World, body: Any, expected: int
) -> None:
    answer = world.ask("/keys", "keeper", method="POST", body=body)
    assert answer.status == expected, answer.body
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/organizations/academic", {"id": "other"}),
        ("PATCH", "/organizations/academic", {"createdBy": "x"}),
        ("PATCH", "/organizations/academic", {"is_active": True}),  # names are camelCase
        ("PATCH", "/policies/public", {"organizationClass": "government"}),
        ("PATCH", "/policies/public", {}),
        ("PUT", "/tenants/county", {"title": "x", "organizations": ["public"]}),
        ("PUT", "/tenants/county", {"title": "x", "collections": ["nowhere"]}),
        ("POST", "/organizations", {"id": "x", "name": "x", "organizationClass": "root"}),
        ("POST", "/organizations", {"id": "anonymous", "name": "x", "organizationClass": "public"}),
        ("POST", "/revocations", {"claim": "iss", "value": "x"}),
    ],
)
def test_fault_41_administrators_too_say_only_what_may_be_said(
    world: World, method: str, path: str, body: dict[str, Any]
) -> None:
    assert world.ask(path, "admin", method=method, body=body).status == 422


def test_a_key_limited_to_networks_makes_none_that_is_less_limited(world: World) -> None:
    world.make("near", "academic", "read", "keys", networks=("127.0.0.0/8",))
    for networks, expected in ((["127.0.0.1/32"], 201), ([], 403), (["0.0.0.0/0"], 403)):
        body = {"label": "x", "networks": networks}
        assert world.ask("/keys", "near", method="POST", body=body).status == expected


def test_another_organization_s_key_cannot_be_seen_rotated_or_revoked(world: World) -> None:
    theirs = world.ids["government"]
    assert theirs not in world.ask("/keys", "keeper").body.decode()
    answers = []
    for key_id in (theirs, "zzzzzzzzzzzz", "%00", "a%27--"):
        deleted = world.ask(f"/keys/{key_id}", "keeper", method="DELETE")
        rotated = world.ask(f"/keys/{key_id}/rotate", "keeper", method="POST", body={})
        answers.append((deleted.status, rotated.status))
    assert set(answers) == {(404, 404)}
    assert status(world, world.tokens["government"]) == 200


def test_a_key_for_anybody_is_of_its_own_organization_and_there_are_some_a_day(
    world: World,
) -> None:
    old = NewOrganization("public-old", "Last year's class", "public")
    add_organization(world.engine, old, world.change())
    world.make("old", "public-old", "read", days=-31)
    asked = [
        world.ask("/keys/public", method="POST", body={"label": "class project"}) for _ in range(3)
    ]
    assert [one.status for one in asked] == [201, 201, 429]
    assert int(asked[2].headers["retry-after"]) <= 86_400
    first, second = (one.json["key"] for one in asked[:2])
    assert first["organization"] != second["organization"]
    assert first["scopes"] == ["read"]
    me = world.ask("/me", headers={"X-API-Key": asked[0].json["token"]}).json
    assert (me["organizationClass"], me["organization"]) == ("public", first["organization"])
    assert world.ask("/organizations/public-old", "admin").status == 404  # long over
    assert world.ask(f"/organizations/{second['organization']}", "admin").status == 200
    kept = world.platform.state_sql("SELECT * FROM sign_ups")
    assert [row["count"] for row in kept] == [2]  # the refused one is not counted
    assert b"127.0.0" not in bytes(kept[0]["network"])


def test_changes_of_organizations_and_policies_take_effect_within_seconds(world: World) -> None:
    body = {"id": "new-lab", "name": "New", "organizationClass": "academic", "tenants": ["county"]}
    assert world.ask("/organizations", "admin", method="POST", body=body).status == 201
    assert world.ask("/organizations", "admin", method="POST", body=body).status == 409
    made = world.ask("/organizations/new-lab/keys", "admin", method="POST", body={"label": "first"})
    world.tokens["new"] = made.json["token"]
    assert world.ask(f"/collections/{OWNED}", "new").status == 200

    def changed(path: str, body: dict[str, Any]) -> None:
        answer = world.ask(path, "admin", method="PATCH", body=body)
        assert answer.status == 200, answer.body

    changed("/organizations/new-lab", {"tenants": []})
    wait_for(
        lambda: world.ask(f"/collections/{OWNED}", "new").status == 404, 5, "the tenant to end"
    )
    changed("/policies/academic", {"rowsPerPage": 4321})
    wait_for(
        lambda: world.ask("/me", "new").json["limits"]["rowsPerPage"] == 4321, 5, "the new limit"
    )
    changed("/policies/academic", {"rowsPerPage": 10_000})
    changed("/organizations/new-lab", {"isActive": False})
    wait_for(lambda: world.ask("/me", "new").status == 401, 5, "the organization to be off")


def test_a_collection_given_to_a_tenant_is_gone_for_the_others_within_seconds(
    world: World,
) -> None:
    name = "nws_alert_zones"
    assert world.ask(f"/collections/{name}").status == 200
    body = {"title": "The lab", "collections": [name]}
    assert world.ask("/tenants/lab", "admin", method="PUT", body=body).status == 200
    wait_for(lambda: world.ask(f"/collections/{name}").status == 404, 5, "it to be hidden")
    listed = {one["id"] for one in world.ask("/collections", "academic").json["collections"]}
    assert name not in listed
    taken = {"title": "The county", "collections": [OWNED, name]}
    assert world.ask("/tenants/county", "admin", method="PUT", body=taken).status == 409
    body["collections"] = []
    assert world.ask("/tenants/lab", "admin", method="PUT", body=body).status == 200
    wait_for(lambda: world.ask(f"/collections/{name}").status == 200, 5, "it to be public again")


def test_the_command_line_makes_the_first_key_and_ends_any(world: World) -> None:
    shown = world.platform.emdata("api", "admin-key", "--days", "2").stdout
    token = shown.splitlines()[0]
    assert status(world, token, "/organizations") == 200
    prefix = token.split("_")[1]
    listed = world.platform.emdata("api", "keys", "ls", "operator").stdout
    assert f"{prefix}\tin force\tadmin,keys,read,write" in listed
    world.platform.emdata("api", "keys", "revoke", prefix)
    wait_for(lambda: status(world, token) == 401, 5, "the key to end")
    wrong = world.platform.emdata("api", "keys", "revoke", "nothing", check=False)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)


def test_every_change_is_in_the_audit_log_which_verifies(world: World) -> None:
    body = {"label": "audited"}
    made = world.ask("/keys", "keeper", method="POST", body=body).json["key"]
    entries = world.ask("/audit?limit=20", "admin").json["entries"]
    mine = next(one for one in entries if one["subject"] == f"key:{made['id']}")
    assert (mine["act"], mine["actor"]) == ("key.create", f"academic/key:{world.ids['keeper']}")
    assert verify(world.engine, world.key).fault is None
    newest = world.ask("/audit?limit=1", "admin").json["entries"][0]
    assert (newest["act"], newest["subject"]) == ("data.read", "audit")
