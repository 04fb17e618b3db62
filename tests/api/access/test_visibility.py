"""What a caller sees: collections, rows and columns."""

from __future__ import annotations

from typing import Annotated as A  # noqa: N817
from typing import ClassVar

import pytest

from api.access.caller import OPERATOR, PUBLIC_POLICY, WRITE, Caller, Policy, anonymous
from api.access.visibility import (
    is_audited,
    row_scope,
    view_key,
    visible,
    visible_collection,
)
from api.catalog.catalog import Catalog
from api.catalog.datasets import collection_of
from api.problems import Problem
from api.query.model import Filter
from emdata.contracts.base import Dataset, Doc, Record, UtcDatetime
from emdata.errors import ContractError


def dataset(name: str, **more: object) -> Dataset:
    declared: dict[str, object] = {
        "name": name, "source": "made", "domain": "test", "title": name, "key": ("site",),
        "event_time": "at", "fresh_within": "1h", "terms": "none", **more,
    }  # fmt: skip
    return Dataset(**declared)  # type: ignore[arg-type]


class Site(Record, frozen=True, kw_only=True):
    """With a place that not everybody may see."""

    site: A[str, Doc("Its name")]
    at: UtcDatetime
    county_fips: A[str, Doc("Where", is_sensitive=True)]
    longitude: A[float, Doc("Where", is_sensitive=True)]
    latitude: A[float, Doc("Where")]
    dataset: ClassVar[Dataset] = dataset("sites")


class Owned(Record, frozen=True, kw_only=True):
    """Belongs to a tenant as a whole."""

    site: A[str, Doc("Its name")]
    at: UtcDatetime
    dataset: ClassVar[Dataset] = dataset("owned", tenant="county")


class Shared(Record, frozen=True, kw_only=True):
    """Each row belongs to somebody."""

    site: A[str, Doc("Its name")]
    owner: A[str, Doc("Whose")]
    at: UtcDatetime
    dataset: ClassVar[Dataset] = dataset("shared", key=("owner", "site"), tenant_column="owner")


class Internal(Record, frozen=True, kw_only=True):
    """For those who run the platform."""

    site: A[str, Doc("Its name")]
    at: UtcDatetime
    dataset: ClassVar[Dataset] = dataset("internal", tenant=OPERATOR)


CATALOG = Catalog({r.dataset.name: collection_of(r) for r in (Site, Owned, Shared, Internal)})
SEES_ALL = Policy("government", may_see_sensitive=True)


def caller(*tenants: str, **more: object) -> Caller:
    given: dict[str, object] = {"policy": PUBLIC_POLICY, "tenants": frozenset(tenants), **more}
    return Caller("lab", "public", **given)  # type: ignore[arg-type]


def names(who: Caller) -> set[str]:
    return {one.id for one in visible(CATALOG, who)}


def test_collections_of_tenants_are_seen_by_their_members_alone() -> None:
    assert names(anonymous()) == {"sites", "shared"}
    assert names(caller("county")) == {"sites", "shared", "owned"}
    assert names(caller(OPERATOR)) == {"sites", "shared", "internal"}


def test_a_collection_that_a_table_gives_to_a_tenant_is_hidden_from_the_others() -> None:
    assert names(anonymous(hidden=frozenset({"sites"}))) == {"shared"}
    assert names(caller(hidden=frozenset({"shared"}))) == {"sites"}
    assert names(caller(owned=frozenset({"shared"}))) == {"sites", "shared"}


def test_another_s_collection_and_one_that_is_not_there_get_the_same_answer() -> None:
    answers = []
    for name in ("owned", "nowhere"):
        with pytest.raises(Problem) as caught:
            visible_collection(CATALOG, name, anonymous())
        answers.append((caught.value.status, caught.value.detail.replace(name, "...")))
        assert "known: shared, sites" in caught.value.detail
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_a_key_that_may_not_read_reads_nothing() -> None:
    with pytest.raises(Problem) as caught:
        visible_collection(CATALOG, "sites", caller(scopes=frozenset({WRITE})))
    assert caught.value.status == 403


def test_a_class_that_is_limited_to_datasets_sees_those_and_its_tenant_s_own() -> None:
    limited = Policy("public", datasets=frozenset({"sites"}))
    assert names(anonymous(limited)) == {"sites"}
    assert names(caller("county", policy=limited)) == {"sites", "owned"}


def test_rows_are_those_of_everybody_and_of_one_s_own_tenants() -> None:
    shared = visible_collection(CATALOG, "shared", anonymous())
    assert row_scope(shared, anonymous()) == (Filter("owner", "in", ("public",)),)
    mine = caller("b", "a")
    assert row_scope(shared, mine) == (Filter("owner", "in", ("public", "a", "b")),)
    assert row_scope(visible_collection(CATALOG, "sites", mine), mine) == ()


def test_a_masked_column_takes_along_what_could_be_asked_through_it() -> None:
    masked = visible_collection(CATALOG, "sites", anonymous())
    assert {"county_fips", "longitude"}.isdisjoint(masked.by_name)
    assert "latitude" in masked.by_name
    # A box around half of a point would still say where it is.
    assert (masked.geometry, masked.county) == (None, None)
    assert masked.time is not None
    whole = visible_collection(CATALOG, "sites", caller(policy=SEES_ALL))
    assert {"county_fips", "longitude"} <= whole.by_name.keys()
    assert whole.geometry is not None
    assert whole.county == "county_fips"


def test_two_callers_who_see_the_same_share_what_is_cached_and_others_do_not() -> None:
    sites, shared = CATALOG.get("sites"), CATALOG.get("shared")
    assert sites is not None
    assert shared is not None
    assert view_key(sites, anonymous()) == view_key(sites, caller("county"))
    assert view_key(sites, anonymous()) != view_key(sites, caller(policy=SEES_ALL))
    assert view_key(shared, anonymous()) != view_key(shared, caller("county"))
    assert view_key(shared, caller("county")) != view_key(shared, caller("lab"))


@pytest.mark.parametrize(
    ("name", "who", "audited"),
    [
        ("sites", anonymous(), False),
        ("sites", caller("county"), False),
        ("sites", caller(policy=SEES_ALL), True),
        ("owned", caller("county"), True),
        ("sites", caller(owned=frozenset({"sites"})), True),
        ("shared", caller(), False),
        ("shared", caller("county"), True),
        ("internal", caller(OPERATOR), True),
    ],
)
def test_reads_of_what_is_not_public_are_noted(name: str, who: Caller, audited: bool) -> None:
    who.reads.clear()
    visible_collection(CATALOG, name, who)
    assert who.reads == ([name] if audited else [])
    collection = CATALOG.get(name)
    assert collection is not None
    assert is_audited(collection, who) is audited


def test_a_contract_cannot_hide_its_key_or_own_rows_by_a_column_outside_of_it() -> None:
    class HiddenKey(Record, frozen=True, kw_only=True):
        site: A[str, Doc("Its name", is_sensitive=True)]
        at: UtcDatetime
        dataset: ClassVar[Dataset] = dataset("hidden_key")

    class OddOwner(Record, frozen=True, kw_only=True):
        site: A[str, Doc("Its name")]
        owner: A[str, Doc("Whose")]
        at: UtcDatetime
        dataset: ClassVar[Dataset] = dataset("odd_owner", tenant_column="owner")

    for record, what in ((HiddenKey, "is_sensitive"), (OddOwner, "tenant_column")):
        with pytest.raises(ContractError, match=what):
            collection_of(record)
