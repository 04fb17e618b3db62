"""dbt's own adapter suites through dbt-starrocks, unmodified, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.starrocks.running import REPOSITORY, environment

SUITES = Path(__file__).parent / "dbt_suites"


def run_suite(name: str, seconds: int) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "dbt.tests.fixtures.project"]
    # dbt leaves files and connections open, which the project's own settings make errors.
    command += [
        "--timeout=400",
        "-o",
        "addopts=",
        "-o",
        "filterwarnings=default",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--tb=short", str(SUITES / name)],
        cwd=REPOSITORY,
        env={**environment(), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1]


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_the_basic_suites_of_dbt_pass() -> None:
    run_suite("suite_basic.py", 580)


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_every_incremental_strategy_of_dbt_does_what_it_says() -> None:
    run_suite("suite_incremental.py", 580)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suite", ["suite_features.py", "suite_more.py", "suite_seeds.py"])
def test_more_suites_of_dbt_pass(suite: str) -> None:
    run_suite(suite, 1700)
