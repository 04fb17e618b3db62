"""Raw documents in object storage: zstd, named by content, kept for days per source.

The key is ``raw/<source>/<YYYY-MM-DD>/<sha256>.zst``: the same bytes on the same day are stored
once, and a day is removed as a whole when its retention ends. Beside it, ``<sha256>.json`` says
what parsing it again needs and its bytes do not: its address, its kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import zstandard
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from emdata.errors import SettingError

if TYPE_CHECKING:
    from obstore.store import S3Config

    from emdata.settings import Settings

_DAY = re.compile(r"^raw/[^/]+/(\d{4}-\d{2}-\d{2})/")
# Query parameters that may carry a key or token; their values never reach storage or logs.
_SECRET = re.compile(r"(?i)([?&](?:api_?key|key|map_key|token|access_token|password)=)[^&\s\"']+")
LEVEL = 6
_SUFFIX = ".zst"
_S3 = ("s3://", "s3a://")


@dataclass(frozen=True)
class Encryption:
    """How S3 encrypts at rest: with its own keys (AES256) or with one of KMS.

    Source: Amazon S3 User Guide, "Protecting data with server-side encryption".
    """

    algorithm: str
    kms_key: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Encryption | None:
        """What the settings say; None where it is switched off. Raises SettingError."""
        algorithm, key = settings.object_encryption, settings.object_kms_key
        if key and not algorithm.startswith("aws:kms"):
            raise SettingError(
                "EMDATA_OBJECT_KMS_KEY", value=key,
                allowed="with EMDATA_OBJECT_ENCRYPTION=aws:kms or aws:kms:dsse",
            )  # fmt: skip
        return None if algorithm == "none" else cls(algorithm, key)

    def config(self) -> S3Config:
        """obstore's words for it."""
        config: S3Config = {"server_side_encryption": self.algorithm}
        if self.kms_key:
            config["sse_kms_key_id"] = self.kms_key
        return config


def redact(text: str) -> str:
    """Replace the values of secret query parameters by ``REDACTED``."""
    return _SECRET.sub(r"\1REDACTED", text)


def open_store(url: str, encryption: Encryption | None = None) -> ObjectStore:
    """Open object storage: ``file:///folder`` (made when missing), ``s3://bucket/prefix``, ...

    Credentials come from the environment, as the store's own tools have them. ``encryption`` is
    asked of S3 for every object that is written; a folder is as safe as its volume, and Azure and
    Google encrypt whatever they are asked. Raises SettingError for an address that names no store.
    """
    if url.startswith("file://"):
        folder = Path(url.removeprefix("file://"))
        if not folder.is_absolute():
            raise SettingError("object storage", value=url, allowed="file:///an/absolute/folder")
        folder.mkdir(parents=True, exist_ok=True)
        return LocalStore(prefix=folder)
    try:
        if encryption is not None and url.startswith(_S3):
            return from_url(url, config=encryption.config())
        return from_url(url)
    except (BaseError, ValueError) as error:
        allowed = "file:///folder, s3://bucket/prefix, az:// or gs://"
        raise SettingError("object storage", value=url, allowed=allowed, fix=str(error)) from error


class RawStore:
    """Stores the bytes of documents as they came (decompressed from transfer encoding)."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def local(cls, folder: Path) -> RawStore:
        """Return a store in a folder, which is made when it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(prefix=folder))

    def put(
        self, source: str, day: date, body: bytes, about: Mapping[str, str] | None = None
    ) -> str:
        """Store a document and what is known about it; returns its key.

        Storing it again changes nothing. Secrets in the values of ``about`` are redacted.

        Raises OSError when the store does not take it, such as on a full disk.
        """
        key = f"raw/{source}/{day.isoformat()}/{hashlib.sha256(body).hexdigest()}{_SUFFIX}"
        try:
            if not self._has(key):
                if about:
                    said = {name: redact(value) for name, value in about.items()}
                    obstore.put(self._store, _about_key(key), json.dumps(said).encode())
                obstore.put(self._store, key, zstandard.compress(body, LEVEL))
        except BaseError as error:
            raise OSError(f"{key}: {error}") from error
        return key

    def get(self, key: str) -> bytes:
        """Return a document's bytes.

        Raises FileNotFoundError for an unknown key, OSError when the store does not give it.
        """
        try:
            return zstandard.decompress(bytes(obstore.get(self._store, key).bytes()))
        except (BaseError, zstandard.ZstdError) as error:
            raise OSError(f"{key}: {error}") from error

    def about(self, key: str) -> dict[str, str]:
        """Return what was stored about a document; empty when nothing was."""
        try:
            return dict(json.loads(bytes(obstore.get(self._store, _about_key(key)).bytes())))
        except FileNotFoundError:
            return {}

    def remove_before(self, day: date, *, keep: timedelta) -> int:
        """Remove documents older than ``keep`` before ``day``; returns how many."""
        oldest = (day - keep).isoformat()
        old = [
            meta["path"]
            for batch in obstore.list(self._store, "raw/")
            for meta in batch
            if (match := _DAY.match(meta["path"])) and match[1] < oldest
        ]
        for path in old:
            obstore.delete(self._store, path)
        return sum(path.endswith(_SUFFIX) for path in old)

    def _has(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True


def _about_key(key: str) -> str:
    return key.removesuffix(_SUFFIX) + ".json"
