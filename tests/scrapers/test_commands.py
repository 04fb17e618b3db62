"""`emdata parse` and `emdata source`, as a user calls them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import build

REPOSITORY = Path(__file__).parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures"


@dataclass(frozen=True)
class Done:
    """What a command printed and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def emdata(*arguments: str) -> Done:
    """Run the command line within this process, which saves its start."""
    result = CliRunner().invoke(build(), list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def test_parse_prints_the_outcome_of_every_row_and_the_totals() -> None:
    done = emdata("parse", "fema", str(FIXTURES / "fema" / "page.json"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "row 1: parsed: fema_disaster_declarations 4901|99013 HIGH"
    assert lines[-1].startswith("fema: rows 5, parsed 5, ignored 0, rejected 0")


def test_parse_as_json_holds_the_fields_that_would_land(tmp_path: Path) -> None:
    payload = json.loads((FIXTURES / "fema" / "page.json").read_bytes())
    del payload["DisasterDeclarationsSummaries"][1]["placeCode"]
    file = tmp_path / "page.json"
    file.write_text(json.dumps(payload))
    done = emdata("parse", "fema", str(file), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["totals"]["rejected"] == 1
    assert found["rows"][0]["records"][0]["fields"]["county_fips"] == "08013"
    assert "placeCode" in found["rows"][1]["reason"]
    assert found["rows"][2]["outcome"] == "parsed"


def test_parse_finds_the_stream_by_content() -> None:
    for name in ("coagmet_hourly/several_stations.json", "coagmet_stations/metadata.json"):
        done = emdata("parse", "coagmet", str(FIXTURES / name))
        assert done.returncode == 0, done.stderr
        assert f"{Path(name).parent.name}: rows" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nosuch", "x"), 2, "usda_drought"),
        (("fema", "no/such/file"), 2, "cannot read"),
        (("fema", str(FIXTURES / "nws" / "alerts.json")), 1, "expected one list"),
        (("nws", str(FIXTURES / "fema" / "page.json")), 1, "no features"),
    ],
)
def test_parse_says_in_one_line_what_is_wrong(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = emdata("parse", *arguments)
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_source_list_names_every_stream() -> None:
    done = emdata("source", "list")
    assert done.returncode == 0, done.stderr
    assert "fema\tevery 20min\t1/s\twww.fema.gov\tfema_disaster_declarations" in done.stdout


def test_source_new_refuses_a_name_that_is_none_and_overwrites_nothing(tmp_path: Path) -> None:
    assert emdata("source", "new", "../evil", "--folder", str(tmp_path)).returncode == 2
    assert emdata("source", "new", "class", "--folder", str(tmp_path)).returncode == 2
    assert emdata("source", "new", "quakes", "--folder", str(tmp_path)).returncode == 0
    again = emdata("source", "new", "quakes", "--folder", str(tmp_path))
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 4
