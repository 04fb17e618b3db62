"""Our packages are found in the repository, and shadow nothing from the registry."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = [
    Path(path) for path in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
]


@pytest.mark.parametrize("path", PACKAGES, ids=str)
def test_each_of_our_packages_is_found_in_the_repository(path: Path) -> None:
    spec = importlib.util.find_spec(path.name)

    assert spec is not None
    assert spec.origin == str(REPOSITORY / path / "__init__.py")


@pytest.mark.parametrize("folder", ["dagster", "starrocks"])
def test_folders_named_like_registry_packages_are_no_packages(folder: str) -> None:
    assert not (REPOSITORY / folder / "__init__.py").exists()


def test_dagster_from_the_registry_is_not_shadowed_in_the_repository() -> None:
    program = "import dagster; print(dagster.__file__); dagster.Definitions"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "site-packages" in done.stdout


def test_every_top_level_package_is_declared() -> None:
    """A folder of Python files that is not declared would work here and be missing in an image."""
    roots = [REPOSITORY, REPOSITORY / "dagster", REPOSITORY / "starrocks"]
    found = {
        init.parent.relative_to(REPOSITORY)
        for root in roots
        for init in root.glob("*/__init__.py")
        if init.parent.name not in {"tests"}
    }

    assert found == set(PACKAGES)


def test_the_import_contracts_cover_every_package() -> None:
    covered = set(PYPROJECT["tool"]["importlinter"]["root_packages"])

    assert covered == {path.name for path in PACKAGES}
