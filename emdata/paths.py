"""Where everything that is written at run time lies.

``<home>`` holds the tools, the credentials and the choice of the sources; one data directory below
it per mode, so that simulated data never lies beside real data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from emdata.errors import SettingError
from emdata.settings import REPOSITORY, Settings

Mode = Literal["live", "simulator"]
_FOLDERS: dict[Mode, str] = {"live": "live", "simulator": "simulated"}


def read_mode(settings: Settings) -> Mode | None:
    """The mode of this home: the setting, else what an earlier start decided, else None."""
    if settings.sources != "auto":
        return settings.sources
    file = settings.home / "sources"
    try:
        word = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if word not in _FOLDERS:
        raise SettingError(
            "SOURCES", value=word, allowed="live or simulator", searched=[str(file)],
            fix="correct the file or remove it",
        )  # fmt: skip
    return cast(Mode, word)


def paths_for(settings: Settings) -> Paths:
    """The paths of the mode in force; raises SettingError before the first start decided one."""
    mode = read_mode(settings)
    if mode is None:
        raise SettingError(
            "SOURCES", value="auto", allowed="live or simulator until the first start has decided",
            searched=["environment", ".env", str(settings.home / "sources")],
            fix="run `emdata start` first, or set SOURCES",
        )  # fmt: skip
    return Paths(settings, mode)


@dataclass(frozen=True)
class Paths:
    """All directories and files of one platform in one mode; nothing is created here."""

    settings: Settings
    mode: Mode

    @property
    def home(self) -> Path:
        """Directory of all run-time files."""
        return self.settings.home

    @property
    def tools(self) -> Path:
        """Installed environments and jars."""
        return self.settings.tools_dir

    @property
    def platform_bin(self) -> Path:
        """Programs of the platform's Python environment."""
        return self.tools / "platform" / "bin"

    @property
    def flink_python(self) -> Path:
        """Python of the environment that holds PyFlink."""
        return self.tools / "flink" / "bin" / "python"

    @property
    def pyflink(self) -> Path:
        """The installed PyFlink package, which carries Flink's jars."""
        return self.tools / "flink" / "lib" / "python3.11" / "site-packages" / "pyflink"

    @property
    def kafka_jars(self) -> Path:
        """Jars of the Kafka broker and its tools."""
        return self.tools / "jars" / "kafka"

    @property
    def flink_jars(self) -> Path:
        """Jars of Flink's connectors."""
        return self.tools / "jars" / "flink"

    @property
    def web_jars(self) -> Path:
        """Packages of what the API's pages use in a browser."""
        return self.tools / "jars" / "web"

    @property
    def dbt_project(self) -> Path:
        """The dbt project in the repository."""
        return REPOSITORY / "dbt_project"

    @property
    def sources_file(self) -> Path:
        """One word, ``live`` or ``simulator``."""
        return self.home / "sources"

    @property
    def credentials(self) -> Path:
        """Dotenv file (mode 0600) with the passwords made at the first start."""
        return self.settings.credentials_file

    @property
    def data(self) -> Path:
        """The data directory of the mode."""
        return self.home / _FOLDERS[self.mode]

    @property
    def run(self) -> Path:
        """The supervisor's files and the state of the last start."""
        return self.data / "run"

    @property
    def logs(self) -> Path:
        """One log file per service."""
        return self.data / "logs"

    @property
    def kafka(self) -> Path:
        """Kafka's configuration and logs."""
        return self.data / "kafka"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.data / "postgres"

    @property
    def warehouse(self) -> Path:
        """Files of the embedded StarRocks."""
        return self.data / "warehouse"

    @property
    def flink(self) -> Path:
        """Flink's configuration, checkpoints, savepoints and deployed jobs."""
        return self.data / "flink"

    @property
    def flink_conf(self) -> Path:
        """FLINK_CONF_DIR."""
        return self.flink / "conf"

    @property
    def flink_home(self) -> Path:
        """FLINK_HOME: links to PyFlink's jars and to the connectors."""
        return self.flink / "home"

    @property
    def checkpoints(self) -> Path:
        """Flink's checkpoints."""
        return self.flink / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Flink's savepoints."""
        return self.flink / "savepoints"

    @property
    def flink_jobs_file(self) -> Path:
        """What is deployed, by job name (JSON)."""
        return self.flink / "jobs.json"

    @property
    def buffer(self) -> Path:
        """Buffers of the stream managers, one directory per writer."""
        return self.data / "buffer"

    @property
    def objects(self) -> Path:
        """Raw documents."""
        return self.data / "objects"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.data / "dagster"

    @property
    def dbt(self) -> Path:
        """dbt's profiles, target and logs."""
        return self.data / "dbt"

    @property
    def simulator(self) -> Path:
        """The simulator's own ledger."""
        return self.data / "simulator"
