"""What every command starts from: settings, or one line that says what is wrong with them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import NoReturn

from emdata.credentials import Credentials, read_credentials
from emdata.errors import EmdataError, SettingError
from emdata.paths import Paths, paths_for
from emdata.settings import Settings, load_settings


@dataclass(frozen=True)
class Context:
    """A platform that was started at least once."""

    settings: Settings
    paths: Paths
    credentials: Credentials


def load() -> Settings:
    """Read the settings; a wrong one is printed in one line and ends the command with 2."""
    try:
        return load_settings()
    except SettingError as error:
        fail(error)


def load_context() -> Context:
    """Read settings, mode and credentials; ends the command with 2 when one is missing."""
    settings = load()
    try:
        return Context(settings, paths_for(settings), read_credentials(settings))
    except SettingError as error:
        fail(error)


def fail(error: EmdataError) -> NoReturn:
    """Print an error in one line; exit code 2 for what the user wrote, 1 for what failed."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2 if isinstance(error, SettingError) else 1)
