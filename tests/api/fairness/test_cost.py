"""Pages that would be too large are refused before they are read, with what to ask for instead."""

from __future__ import annotations

import pytest

from api.access.caller import Policy
from api.catalog.datasets import collection_of
from api.fairness.cost import refuse_expensive, width_of
from api.problems import Problem
from api.query.model import ItemsQuery
from emdata.contracts import contracts

POLICY = Policy("public", rows_per_page=1000)
ALERTS = collection_of(contracts()["nws_alerts"])
DECLARATIONS = collection_of(contracts()["fema_disaster_declarations"])


def test_a_narrow_page_may_have_all_its_rows() -> None:
    refuse_expensive(ItemsQuery(DECLARATIONS, limit=1000), POLICY)


def test_a_wide_page_is_refused_with_a_limit_that_passes() -> None:
    with pytest.raises(Problem) as caught:
        refuse_expensive(ItemsQuery(ALERTS, limit=1000), POLICY)
    assert caught.value.kind == "too-expensive"
    fits = caught.value.extra["limit"]
    assert f"limit={fits}" in caught.value.detail
    refuse_expensive(ItemsQuery(ALERTS, limit=fits), POLICY)
    with pytest.raises(Problem):
        refuse_expensive(ItemsQuery(ALERTS, limit=fits + 1), POLICY)


def test_what_can_be_left_out_is_named_and_the_geometry_is_not() -> None:
    with pytest.raises(Problem) as caught:
        refuse_expensive(ItemsQuery(ALERTS, limit=1000), POLICY)
    (named,) = [part for part in caught.value.detail.split("; ") if "properties=" in part][-1:]
    assert "geometry" not in named
    refuse_expensive(ItemsQuery(ALERTS, limit=1000, properties=("severity", "event")), POLICY)
    assert width_of(ItemsQuery(ALERTS, properties=("severity",))) < width_of(ItemsQuery(ALERTS))


def test_an_export_is_judged_by_its_rows_elsewhere() -> None:
    refuse_expensive(ItemsQuery(ALERTS, limit=None), POLICY)
