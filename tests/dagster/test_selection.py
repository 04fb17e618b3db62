"""Which models a build touches."""

from __future__ import annotations

from typing import Any

import pytest

from emergency_pipeline.defs.models.selection import (
    databases,
    known_tables,
    missing_parents,
    selection_of,
)


def _model(name: str, kind: str = "model", materialized: str = "table") -> dict[str, Any]:
    return {
        "name": name,
        "alias": name,
        "schema": "emergency_data",
        "resource_type": kind,
        "config": {"materialized": materialized},
    }


def _source(name: str, schema: str = "raw_data") -> dict[str, Any]:
    return {"schema": schema, "identifier": name}


@pytest.fixture
def manifest() -> dict[str, Any]:
    """levels -> stg -> fct <- dim <- counties (seed); a test of fct against the sky's mart."""
    nodes = {
        "model.stg": _model("stg", materialized="view"),
        "model.fct": _model("fct"),
        "model.dim": _model("dim"),
        "model.helper": _model("helper", materialized="ephemeral"),
        "seed.counties": _model("counties", kind="seed", materialized="seed"),
        "model.sky": _model("sky"),
        "test.related": {"name": "related", "resource_type": "test", "config": {}, "schema": "t"},
    }
    parents = {
        "model.stg": ["source.levels"],
        "model.fct": ["model.stg", "model.dim"],
        "model.dim": ["model.helper"],
        "model.helper": ["seed.counties"],
        "model.sky": ["source.sky"],
        "test.related": ["model.fct", "model.sky"],
    }
    children: dict[str, list[str]] = {}
    for child, names in parents.items():
        for name in names:
            children.setdefault(name, []).append(child)
    return {
        "nodes": nodes,
        "sources": {
            "source.levels": _source("levels"),
            "source.sky": _source("sky"),
            "source.other": _source("levels_elsewhere", schema="other"),
        },
        "parent_map": parents,
        "child_map": children,
    }


def test_models_are_selected_by_the_raw_table_they_stem_from() -> None:
    rule = ["--indirect-selection", "buildable"]
    both = ["--select", "source:raw_data.a+ source:raw_data.b+", *rule]
    assert selection_of(["a", "b"]) == both
    assert selection_of(["a"], ["dim"]) == ["--select", "source:raw_data.a+ dim", *rule]


def test_tables_that_no_model_reads_are_left_out(manifest: dict[str, Any]) -> None:
    assert known_tables(manifest, ["sky", "levels", "stray", "levels_elsewhere"]) == [
        "sky",
        "levels",
    ]


def test_what_models_need_is_built_with_them_the_first_time(
    manifest: dict[str, Any],
) -> None:
    assert missing_parents(manifest, ["levels"], []) == ["counties", "dim"]


def test_what_was_built_before_is_not_built_for_somebody_else(manifest: dict[str, Any]) -> None:
    built = [("emergency_data", name) for name in ("counties", "dim")]
    assert missing_parents(manifest, ["levels"], built) == []
    elsewhere = [("another_database", name) for _, name in built]
    assert missing_parents(manifest, ["levels"], elsewhere) == ["counties", "dim"]


def test_a_table_whose_models_stand_alone_needs_nothing_more(manifest: dict[str, Any]) -> None:
    assert missing_parents(manifest, [], []) == []


def test_databases_are_those_of_stored_models(manifest: dict[str, Any]) -> None:
    assert databases(manifest) == ["emergency_data"]
