"""Tenants: a quota each; the less urgent is deferred first, CRITICAL never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emdata.contracts.base import Priority
from stream_manager.control.tenants import PUBLIC, TenantQuotas


def test_a_tenant_is_held_to_its_quota_and_the_others_are_not() -> None:
    waiting = {"lab": 1000, "county": 10, PUBLIC: 10**6}
    quotas = TenantQuotas(waiting.__getitem__, 100, {"lab": 1000})
    admitted = {
        (tenant, priority.name)
        for tenant in waiting
        for priority in Priority
        if quotas.admits(priority, tenant)
    }
    every = {priority.name for priority in Priority}
    assert {name for tenant, name in admitted if tenant == "lab"} == {"CRITICAL"}
    assert {name for tenant, name in admitted if tenant == "county"} == every
    assert {name for tenant, name in admitted if tenant == PUBLIC} == every


def test_public_has_a_quota_when_one_is_named() -> None:
    assert not TenantQuotas(lambda _: 7, 100, {PUBLIC: 7}).admits(Priority.HIGH, PUBLIC)


@given(st.integers(0, 2000), st.integers(1, 2000))
def test_whoever_is_refused_was_less_urgent_than_all_who_are_admitted(
    waiting: int, quota: int
) -> None:
    quotas = TenantQuotas(lambda _: waiting, quota, {})
    admitted = [quotas.admits(priority, "lab") for priority in Priority]
    assert admitted == sorted(admitted, reverse=True)
    assert admitted[0]
    assert waiting < quota or admitted == [True, False, False, False]
