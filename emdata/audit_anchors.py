"""Anchors of the audit chain: what its last entry was, kept outside its database.

One small object a minute and process, ``<YYYY-MM-DD>/<HHMM>-<process>.json``, written anew while
the minute lasts. A cut or rewritten chain does not have the entries that anchors saw. Whoever may
change both the table and this storage, and has the key, can hide: give the storage a retention lock
or an owner of its own.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from emdata.errors import StateUnavailable
from emdata.objects import Encryption, open_store
from emdata.paths import Paths
from emdata.state.audit_chain import Tail


class _Anchor(msgspec.Struct):
    seq: int
    hash: str
    at: str


class Anchors:
    """The anchors in one object storage; raises StateUnavailable when it does not answer."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def of(cls, paths: Paths) -> Anchors:
        """Return those of a platform. Raises SettingError for an address that names no store."""
        settings = paths.settings
        url = settings.audit_anchor_url or f"file://{paths.data / 'audit-anchors'}"
        return cls(open_store(url, Encryption.of(settings)))

    def put(self, tail: Tail, *, at: datetime, process: str) -> None:
        """Keep what the last entry is."""
        anchor = _Anchor(tail.seq, tail.hash.hex(), at.isoformat())
        name = f"{at:%Y-%m-%d/%H%M}-{process}.json"
        try:
            obstore.put(self._store, name, msgspec.json.encode(anchor))
        except BaseError as error:
            raise StateUnavailable(f"anchors of the audit log: {error}") from error

    def all(self) -> list[Tail]:
        """Return every anchor. An object that is none raises StateUnavailable, which names it."""
        found = []
        try:
            for batch in obstore.list(self._store):
                for meta in batch:
                    body = bytes(obstore.get(self._store, meta["path"]).bytes())
                    found.append(_read(meta["path"], body))
        except BaseError as error:
            raise StateUnavailable(f"anchors of the audit log: {error}") from error
        return found


def _read(path: str, body: bytes) -> Tail:
    try:
        anchor = msgspec.json.decode(body, type=_Anchor)
        return Tail(anchor.seq, bytes.fromhex(anchor.hash))
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateUnavailable(f"anchor {path} cannot be read: {error}") from error
