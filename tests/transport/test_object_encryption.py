"""Encryption at rest of object storage: what S3 is asked for with every object."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest

from emdata.errors import SettingError
from emdata.objects import Encryption, open_store
from emdata.settings import load_settings

ASKED = "x-amz-server-side-encryption"


class Bucket(ThreadingHTTPServer):
    """Takes every object and remembers the headers that came with it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.puts: list[dict[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Bucket

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.puts.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    for name, value in {
        "AWS_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-gov-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def encryption(**environ: str) -> Encryption | None:
    return Encryption.of(load_settings(environ, env_file=None))


def test_s3_encrypts_with_its_own_keys_unless_told_otherwise(bucket: Bucket) -> None:
    obstore.put(open_store("s3://bucket/prefix", encryption()), "a", b"b")
    assert [put[ASKED] for put in bucket.puts] == ["AES256"]


def test_a_key_of_kms_is_named(bucket: Bucket) -> None:
    chosen = encryption(EMDATA_OBJECT_ENCRYPTION="aws:kms", EMDATA_OBJECT_KMS_KEY="key-1")
    obstore.put(open_store("s3://bucket/prefix", chosen), "a", b"b")
    (put,) = bucket.puts
    assert put[ASKED] == "aws:kms"
    assert put[f"{ASKED}-aws-kms-key-id"] == "key-1"


def test_a_store_that_does_not_know_it_is_not_asked(bucket: Bucket) -> None:
    obstore.put(open_store("s3://bucket", encryption(EMDATA_OBJECT_ENCRYPTION="none")), "a", b"b")
    (put,) = bucket.puts
    assert ASKED not in put


def test_a_key_without_kms_is_refused() -> None:
    with pytest.raises(SettingError, match="aws:kms"):
        encryption(EMDATA_OBJECT_KMS_KEY="key-1")


def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/objects", encryption())
    obstore.put(store, "a", b"b")
    assert (tmp_path / "objects" / "a").read_bytes() == b"b"
