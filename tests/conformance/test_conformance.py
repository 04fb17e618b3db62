"""Every case of `cases/`, against the stand-in or, with CONFORMANCE_URL, against any StarRocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.case_files import Case, CaseFile, read_all
from tests.conformance.checking import difference
from tests.conformance.target import Target
from tests.starrocks.running import PASSWORD, RunningServer

FILES = read_all()
CASES = [pytest.param(file, case, id=str(case)) for file in FILES for case in file.cases]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    url = os.environ.get("CONFORMANCE_URL", "")
    if url:
        found = Target(url)
        yield found
        found.close()
        return
    server = RunningServer(tmp_path_factory.mktemp("conformance"))
    server.start()
    password = PASSWORD.replace(" ", "%20")
    found = Target(f"mysql://root:{password}@127.0.0.1:{server.mysql_port}?http={server.http_port}")
    yield found
    found.close()
    assert server.stop() == 0


@pytest.fixture(scope="module")
def prepared() -> dict[str, str | None]:
    """Files whose database is ready, with what went wrong on the way."""
    return {}


def _prepare(target: Target, file: CaseFile, prepared: dict[str, str | None]) -> str:
    database = f"conformance_{file.name}"
    if file.name not in prepared:
        target.use_new_database(database)
        prepared[file.name] = None
        for statement in file.setup:
            try:
                target.run(statement)
            except Exception as error:
                prepared[file.name] = f"{statement}: {error}"
                raise
    assert prepared[file.name] is None, f"the setup failed: {prepared[file.name]}"
    target.use(database)
    return database


@pytest.mark.integration
@pytest.mark.parametrize(("file", "case"), CASES)
def test_case_is_answered_as_by_starrocks(
    target: Target, prepared: dict[str, Any], file: CaseFile, case: Case
) -> None:
    database = _prepare(target, file, prepared)
    assert difference(target, case, database) is None


def test_the_suite_has_its_size_and_no_case_twice() -> None:
    names = [str(case) for file in FILES for case in file.cases]
    assert len(names) >= 400
    assert len(names) == len(set(names))


def test_a_case_without_an_expected_value_is_refused(tmp_path: Path) -> None:
    from tests.conformance.case_files import read

    path = tmp_path / "x.yaml"
    path.write_text("subject: x\nexpressions: |\n  1 + 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a case without =>"):
        read(path)
