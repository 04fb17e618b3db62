"""What is generated from contracts, and what the written project promises; without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from emdata.contracts import contract, contracts
from emdata.dbt_project import GENERATED, DbtProject
from emdata.derive import dbt as derive
from emdata.derive.types import columns_of
from emdata.settings import REPOSITORY, load_settings
from emdata.yamls import read_yaml
from flink_jobs.windows import correction_days, window_tables
from runtime.commands.docs import dictionary_of

PROJECT = REPOSITORY / "dbt_project"
UNIT = re.compile(r"\[[^\]]+\]$")
NUMBERS = ("bigint", "int", "tinyint", "smallint", "double", "float", "decimal")


def written_nodes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, node) of every documented model and source table."""
    for file in sorted((PROJECT / "models").rglob("*.yml")):
        if PROJECT / GENERATED in file.parents:
            continue
        document = read_yaml(file.read_text())
        yield from ((file.name, model) for model in document.get("models") or ())
        for source in document.get("sources") or ():
            yield from ((file.name, table) for table in source["tables"])


def generated_nodes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, node) of what is generated for all contracts."""
    files = derive.generated_files(contracts().values())
    for source in read_yaml(files[derive.SOURCES_FILE])["sources"]:
        yield from ((derive.SOURCES_FILE, table) for table in source["tables"])
    for model in read_yaml(files[derive.MODELS_FILE])["models"]:
        yield derive.MODELS_FILE, model


@cache
def columns() -> tuple[Any, ...]:
    """Every column as a pytest parameter."""
    return tuple(
        pytest.param(column, id=f"{file}:{node['name']}.{column['name']}")
        for file, node in (*written_nodes(), *generated_nodes())
        for column in node["columns"]
    )


def test_every_number_names_its_unit_and_every_time_its_zone() -> None:
    lacking = []
    for parameter in columns():
        column = parameter.values[0]
        kind, text = column["data_type"].split("(")[0], " ".join(column["description"].split())
        wanted = {"datetime": "[UTC]", "date": "[calendar date]"}.get(kind)
        if kind in NUMBERS and not UNIT.search(text):
            lacking.append(f"{parameter.id}: no unit in {text!r}")
        if wanted is not None and not text.endswith(wanted):
            lacking.append(f"{parameter.id}: {text!r} does not end with {wanted}")
        if not text:
            lacking.append(f"{parameter.id}: no description")
    assert lacking == []


def test_units_in_names_agree_with_units_in_descriptions() -> None:
    """A column that is named after a unit says the same unit."""
    units = {"_c": "Cel", "_mm": "mm", "_m_s": "m/s", "_m": "m", "_percent": "%", "_kpa": "kPa",
             "_seconds": "s", "_deg": "deg", "_mj_m2": "MJ/m2", "_w_m2": "W/m2",
             "_count": "count"}  # fmt: skip
    wrong = []
    for parameter in columns():
        column = parameter.values[0]
        ends = sorted((end for end in units if column["name"].endswith(end)), key=len)
        if ends and not column["description"].endswith(f"[{units[ends[-1]]}]"):
            wrong.append(f"{parameter.id}: {column['description']}")
    assert wrong == []


def test_every_model_is_documented() -> None:
    documented = {node["name"] for _, node in written_nodes()}
    models = {file.stem for file in (PROJECT / "models").rglob("*.sql")
              if PROJECT / GENERATED not in file.parents}  # fmt: skip
    assert models <= documented


@pytest.mark.parametrize("name", list(contracts()))
def test_staging_shows_the_row_with_the_highest_version_then_sequence(name: str) -> None:
    record = contract(name)
    sql = derive.staging_sql(record)
    plain = re.sub(r"\{\{ source\('raw_data', '(\w+)'\) \}\}", r"raw_data.\1", sql)
    tree = sqlglot.parse_one(re.sub(r"\{\{.*?\}\}", "", plain), read="starrocks")
    assert isinstance(tree, exp.Select)
    assert [item.alias_or_name for item in tree.selects] == [c.name for c in columns_of(record)]
    assert "partition by record_key\n" in sql
    assert "order by record_version desc, seq desc, writer desc" in sql


def test_keys_are_tested_and_terms_are_kept() -> None:
    model = read_yaml(derive.staging_yaml([contract("usda_drought_counties")]))["models"][0]
    tests = {column["name"]: column.get("data_tests") for column in model["columns"]}
    assert tests["record_key"] == ["unique"]
    assert tests["county_fips"] == tests["valid_on"] == ["not_null"]
    assert tests["d0_percent"] is None
    assert "credit" in model["config"]["meta"]["terms"]


def test_a_staging_model_written_by_hand_wins(tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "project", tmp_path / "state")
    by_hand = project.project / "models" / "staging" / "stg_nws__alerts.sql"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_text("select 1 as one\n")
    project.write_generated()
    names = {file.name for file in (project.project / GENERATED).iterdir()}
    assert "stg_nws__alerts.sql" not in names
    assert "stg_nws__alert_zones.sql" in names
    described = read_yaml((project.project / GENERATED / derive.MODELS_FILE).read_text())
    assert "stg_nws__alerts" not in {model["name"] for model in described["models"]}


def test_generating_again_changes_nothing_and_removes_what_is_stale(tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "project", tmp_path / "state")
    (project.project / "models").mkdir(parents=True)
    assert project.write_generated()
    assert project.write_generated() == []
    stale = project.project / GENERATED / "stg_gone__things.sql"
    stale.write_text("select 1 as one\n")
    assert project.write_generated() == [stale]
    assert not stale.exists()


def test_the_profile_is_for_its_owner_only_and_follows_the_settings(tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "project", tmp_path / "state")
    settings = load_settings({"STARROCKS_PORT": "19030"}, env_file=None)
    profile = project.write_profile(settings, 'pass "word" #1')
    assert profile.stat().st_mode & 0o077 == 0
    output = read_yaml(profile.read_text())["emdata"]["outputs"]["platform"]
    assert (output["port"], output["password"], output["schema"]) == (
        19030, 'pass "word" #1', settings.starrocks_database,
    )  # fmt: skip


def test_geography_is_loaded_again_when_a_seed_changes(tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "project", tmp_path / "state")
    for folder in ("seeds", "models/geography"):
        (project.project / folder).mkdir(parents=True)
    seed = project.project / "seeds" / "geo_states.csv"
    seed.write_text("state\nCO\n")
    assert not project.is_geography_marked()
    project.mark_geography()
    assert project.is_geography_marked()
    seed.write_text("state\nWY\n")
    assert not project.is_geography_marked()


def test_windows_are_described_as_flink_declares_them() -> None:
    described = {
        node["name"]: [column["name"] for column in node["columns"]]
        for file, node in written_nodes()
        if file == "_windows.yml" and not node["name"].startswith("int_")
    }
    declared = {t.name: [c.name for c in (*t.keys, *t.measures)] for t in window_tables()}
    assert described == declared


def test_recounts_leave_out_what_flink_leaves_out() -> None:
    variables = read_yaml((PROJECT / "dbt_project.yml").read_text())["vars"]
    state_days = load_settings({}, env_file=None).window_state_days
    assert variables["window_correction_days"] == correction_days(state_days)


def test_the_data_dictionary_is_up_to_date() -> None:
    page = REPOSITORY / "docs" / "data-dictionary.md"
    assert page.read_text() == dictionary_of(PROJECT), "run `emdata docs`"
