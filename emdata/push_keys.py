"""Keys of those who push: each sender has one of its own, limited to its datasets.

Kept in a file (mode 0600) beside the credentials and not in PostgreSQL, because the door takes
records while PostgreSQL is away. Of a key for the ingest endpoint only the SHA-256 is kept (the
key is 32 random bytes, so a plain hash is enough). An MQTT password has to be sent to the broker
and is kept as it is.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from emdata.clock import Clock
from emdata.contracts.identity import utc_text
from emdata.errors import SettingError
from emdata.files import replace_file

Kind = Literal["http", "mqtt"]
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PREFIX = "emdata_push_"
_MOSQUITTO_ROUNDS = 101


class PushKey(msgspec.Struct, frozen=True, kw_only=True):
    """One sender. datasets empty: all. secret is set for MQTT only. Instants are UTC texts."""

    name: str
    kind: Kind
    datasets: tuple[str, ...] = ()
    tenant: str = "public"
    key_hash: str
    secret: str = ""
    made_at: str
    rotated_at: str | None = None

    def may_write(self, dataset: str) -> bool:
        """Whether this sender may push records of a dataset."""
        return not self.datasets or dataset in self.datasets


class PushKeys:
    """The file of keys; read anew when it changed, so that a removed key ends at once."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file, self._clock = file, clock
        self._stamp: tuple[int, int, int] | None = None
        self._by_name: dict[str, PushKey] = {}
        self._by_hash: dict[str, PushKey] = {}

    def all(self) -> list[PushKey]:
        """Return every key, by name.

        Raises SettingError when the file cannot be read as what this release writes.
        """
        self._refresh()
        return [self._by_name[name] for name in sorted(self._by_name)]

    def of_token(self, token: str) -> PushKey | None:
        """Return whose ingest key a token is, or None."""
        self._refresh()
        return self._by_hash.get(_digest(token))

    def mqtt(self) -> PushKey | None:
        """Return the credential for the MQTT broker, if one was made."""
        return next((key for key in self.all() if key.kind == "mqtt"), None)

    def add(
        self, name: str, kind: Kind, *, datasets: tuple[str, ...] = (), tenant: str = "public"
    ) -> str:
        """Register a sender; returns its key, which is not shown again.

        Raises SettingError for a name that is taken or not allowed, and for a second MQTT one.
        """
        if not _NAME.fullmatch(name):
            raise _wrong(name, "a lower-case name of letters, digits and hyphens, at most 63")
        if not _TENANT.fullmatch(tenant):
            raise _wrong(tenant, "a tenant of up to 63 of a-z, 0-9, - and _")

        def change(keys: dict[str, PushKey]) -> str:
            if name in keys:
                raise _wrong(name, "a new name", "`emdata push rotate` gives a sender a new key")
            if kind == "mqtt" and any(key.kind == "mqtt" for key in keys.values()):
                raise _wrong(name, "one MQTT credential", "there is one; rotate or remove it")
            secret = _new_secret()
            keys[name] = PushKey(
                name=name,
                kind=kind,
                datasets=datasets,
                tenant=tenant,
                key_hash=_digest(secret),
                secret=secret if kind == "mqtt" else "",
                made_at=utc_text(self._clock.now()),
            )
            return secret

        return self._change(change)

    def ensure(self, name: str, secret: str, *, datasets: tuple[str, ...]) -> None:
        """Register one of our own processes with a key that was made elsewhere; idempotent.

        What stood under the name before ends.
        """

        def change(keys: dict[str, PushKey]) -> str:
            known, wanted = keys.get(name), _digest(secret)
            if known is None or (known.key_hash, known.datasets) != (wanted, datasets):
                keys[name] = PushKey(
                    name=name,
                    kind="http",
                    datasets=datasets,
                    key_hash=wanted,
                    made_at=utc_text(self._clock.now()),
                )
            return ""

        self._change(change)

    def rotate(self, name: str) -> str:
        """Give a sender a new key and end the old one; returns the new one.

        Raises SettingError for an unknown name.
        """

        def change(keys: dict[str, PushKey]) -> str:
            key = _known(keys, name)
            secret = _new_secret()
            keys[name] = msgspec.structs.replace(
                key,
                key_hash=_digest(secret),
                secret=secret if key.kind == "mqtt" else "",
                rotated_at=utc_text(self._clock.now()),
            )
            return secret

        return self._change(change)

    def remove(self, name: str) -> None:
        """End a sender's key. Raises SettingError for an unknown name."""

        def change(keys: dict[str, PushKey]) -> str:
            del keys[_known(keys, name).name]
            return ""

        self._change(change)

    def _change(self, change: Callable[[dict[str, PushKey]], str]) -> str:
        with _locked(self._file):
            self._refresh()
            keys = dict(self._by_name)
            result = change(keys)
            replace_file(self._file, msgspec.json.encode(list(keys.values())))
        return result

    def _refresh(self) -> None:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            self._stamp, self._by_name, self._by_hash = None, {}, {}
            return
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return
        try:
            keys = msgspec.json.decode(self._file.read_bytes(), type=list[PushKey])
        except msgspec.MsgspecError as error:
            raise SettingError(
                "push keys", value=str(self._file), allowed="the file that `emdata push` writes",
                searched=[str(self._file)], fix=f"{error}; restore it, or remove it and add keys",
            ) from None  # fmt: skip
        self._by_name = {key.name: key for key in keys}
        self._by_hash = {key.key_hash: key for key in keys if key.kind == "http"}
        self._stamp = stamp


def mosquitto_line(user: str, password: str) -> str:
    """Return the line of a Mosquitto password file: PBKDF2 with SHA-512, salted."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _MOSQUITTO_ROUNDS)
    parts = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"{user}:$7${_MOSQUITTO_ROUNDS}${parts[0]}${parts[1]}"


def _new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _known(keys: dict[str, PushKey], name: str) -> PushKey:
    if name not in keys:
        raise _wrong(name, ", ".join(sorted(keys)) or "none is registered yet")
    return keys[name]


def _wrong(name: str, allowed: str, fix: str = "") -> SettingError:
    return SettingError("push sender", value=name, allowed=allowed, searched=["argument"], fix=fix)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(file.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
