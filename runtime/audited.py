"""Privileged acts of the command line in the audit log, written before they are done.

These commands also work while PostgreSQL is away; then they say that the log lacks an entry, unless
AUDIT_LOGGING asks for it: then they are refused.
"""

from __future__ import annotations

import getpass
import os
import sys

from sqlalchemy.exc import ProgrammingError

from emdata.audit_anchors import Anchors
from emdata.clock import SystemClock
from emdata.credentials import read_credentials
from emdata.errors import SettingError, StateUnavailable
from emdata.paths import paths_for
from emdata.settings import Settings
from emdata.state.audit_chain import Entry, record
from emdata.state.database import connect, dsn_of


def note_act(settings: Settings, act: str, subject: str, **details: object) -> None:
    """Write an entry. Raises StateUnavailable with AUDIT_LOGGING when it cannot be written.

    ProgrammingError: the state is of an earlier release and has no such table yet.
    """
    now = SystemClock().now()
    entry = Entry(f"command line/{getpass.getuser()}", act, subject, details)
    try:
        credentials = read_credentials(settings)
        engine = connect(dsn_of(settings, credentials.postgres_password))
        try:
            tail = record(engine, [entry], now=now, key=credentials.audit_key.encode())
        finally:
            engine.dispose()
        Anchors.of(paths_for(settings)).put(tail, at=now, process=f"command-{os.getpid()}")
    except (StateUnavailable, SettingError, ProgrammingError) as error:
        if settings.audit_logging:
            raise StateUnavailable(f"AUDIT_LOGGING: {act} is not done: {error}") from error
        line = str(error).splitlines()[0]
        print(f"note: not in the audit log, which cannot be reached: {line}", file=sys.stderr)
