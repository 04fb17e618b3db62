"""The dbt project as files: generated staging written into it, its profile, its environment.

The project lies in the repository; everything that dbt writes lies in the data directory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emdata.contracts import contracts
from emdata.derive.dbt import generated_files
from emdata.files import replace_file
from emdata.paths import Paths
from emdata.settings import Settings
from emdata.warehouse_accounts import TRANSFORMER

PROFILE = "emdata"
THREADS = 2
GENERATED = Path("models") / "staging" / "generated"


@dataclass(frozen=True)
class DbtProject:
    """One dbt project: where it lies and where it writes."""

    project: Path
    """Holds ``dbt_project.yml``."""
    state: Path
    """Profile, target and logs of dbt."""

    @property
    def target(self) -> Path:
        """dbt's artifacts; the manifest of the last parse is here."""
        return self.state / "target"

    @property
    def logs(self) -> Path:
        """dbt's logs."""
        return self.state / "logs"

    @property
    def manifest(self) -> Path:
        """The manifest of the last parse or build."""
        return self.target / "manifest.json"

    def handwritten_staging(self) -> frozenset[str]:
        """Return the names of the staging models that are not generated."""
        generated = self.project / GENERATED
        return frozenset(
            file.stem
            for file in (self.project / "models").rglob("stg_*.sql")
            if generated not in file.parents
        )

    def write_generated(self) -> list[Path]:
        """Write staging and sources from the contracts; return the files that changed.

        A file that already reads right is left alone, so that dbt's partial parsing skips it, and
        two platforms that share a repository do not disturb each other.
        """
        folder = self.project / GENERATED
        folder.mkdir(parents=True, exist_ok=True)
        wanted = generated_files(contracts().values(), self.handwritten_staging())
        changed = [
            folder / name
            for name, text in wanted.items()
            if _write_if_different(folder / name, text)
        ]
        stale = [
            file
            for file in folder.iterdir()
            if file.suffix in (".sql", ".yml") and file.name not in wanted
        ]
        for file in stale:
            file.unlink(missing_ok=True)
        return changed + stale

    def write_profile(self, settings: Settings, password: str, user: str = TRANSFORMER) -> Path:
        """Write ``profiles.yml`` (mode 0600) for the warehouse of these settings."""
        output = {
            "type": "starrocks",
            "host": settings.starrocks_host,
            "port": settings.starrocks_mysql_port,
            "schema": settings.starrocks_database,
            "username": user,
            "password": password,
            "threads": THREADS,
        }
        # JSON is YAML; every value is quoted for sure.
        text = json.dumps(
            {PROFILE: {"target": "platform", "outputs": {"platform": output}}}, indent=2
        )
        file = self.state / "profiles.yml"
        _write_if_different(file, text + "\n")
        return file

    def geography_version(self) -> str:
        """Return a hash over the seeds and the models of the geography."""
        digest = hashlib.sha256()
        for folder in ("seeds", "models/geography"):
            for file in sorted((self.project / folder).iterdir()):
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()

    def mark_geography(self) -> None:
        """Remember that the warehouse holds this version of the geography."""
        _write_if_different(self._geography_mark, self.geography_version() + "\n")

    def is_geography_marked(self) -> bool:
        """Whether this version of the geography was loaded before."""
        try:
            return self._geography_mark.read_text().strip() == self.geography_version()
        except FileNotFoundError:
            return False

    @property
    def _geography_mark(self) -> Path:
        return self.state / "geography"

    def arguments(self, command: Sequence[str]) -> list[str]:
        """Return the arguments of ``dbt`` that keep everything it writes in ``state``."""
        return [
            *command,
            "--project-dir", str(self.project),
            "--profiles-dir", str(self.state),
            "--target-path", str(self.target),
            "--log-path", str(self.logs),
        ]  # fmt: skip


def project_of(paths: Paths) -> DbtProject:
    """Return the platform's project."""
    return DbtProject(paths.dbt_project, paths.dbt)


def _write_if_different(file: Path, text: str) -> bool:
    try:
        if file.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    replace_file(file, text, is_durable=False)
    return True
