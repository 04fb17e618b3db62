"""The parts that say who asks, made once a process."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import Engine

from api.access.caller import Caller
from api.access.directory import Directory
from api.access.identity import Identity
from api.access.network import Network, networks
from api.access.tokens import Tokens
from api.audit.log import AuditLog
from emdata.audit_anchors import Anchors
from emdata.clock import Clock, SystemClock
from emdata.errors import ServiceError
from emdata.paths import Paths
from emdata.state.audit_chain import verify
from emdata.state.changes import Change


@dataclass(frozen=True)
class Access:
    """Identity, what it knows, and the audit log. ``key``: of the audit chain."""

    directory: Directory
    identity: Identity
    audit: AuditLog
    clock: Clock
    key: bytes
    trusted: tuple[Network, ...]

    @classmethod
    def of(cls, paths: Paths, engine: Engine, clock: Clock, audit_key: str) -> Access:
        """Return the parts of a platform; listening begins with ``start``. Raises SettingError."""
        settings, key = paths.settings, audit_key.encode()
        anchors = Anchors.of(paths)
        trusted = networks(settings.api_trusted_proxies)
        directory = Directory(engine, clock, settings.api_identity_grace_seconds)
        identity = Identity(directory, Tokens.of(settings, clock), clock, trusted)
        audit = AuditLog(engine, anchors, clock, key=key, process=f"api-{os.getpid()}")
        return cls(directory, identity, audit, clock, key, trusted)

    def start(self) -> None:
        """Begin to listen for changes."""
        self.directory.start()

    async def close(self) -> None:
        """Stop; what waits for the audit log is written."""
        self.directory.close()
        await self.audit.close()

    def change(self, caller: Caller) -> Change:
        """Return a change by a caller, now."""
        return Change(caller.actor, self.clock.now(), self.key)


def check_access(paths: Paths, engine: Engine, audit_key: str) -> None:
    """Refuse to start with what cannot be kept.

    Raises SettingError for settings that are none, and with AUDIT_LOGGING ServiceError for an audit
    log that does not verify, StateUnavailable for one that cannot be read.
    """
    Tokens.of(paths.settings, SystemClock())
    anchors = Anchors.of(paths)
    if not paths.settings.audit_logging:
        return
    fault = verify(engine, audit_key.encode(), anchors.all()).fault
    if fault is not None:
        raise ServiceError(
            f"audit log: entry {fault.seq}: {fault.what}; with AUDIT_LOGGING the API does not go "
            "on from there; see `emdata audit verify`"
        )
