"""Bulk files in an object store that speaks S3: a stand-in keeps objects in memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from emdata.bulk.manifest import Index, day_prefix
from emdata.bulk.shelf import Shelf

DAY = date(2026, 11, 20)
ENTRY = (
    "<Contents><Key>{}</Key><Size>{}</Size><ETag>1</ETag>"
    "<LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>"
)


class Bucket(ThreadingHTTPServer):
    """Objects by path, with the bucket's name in front; ``is_away``: reading is refused."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.is_away = False


class _Handler(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects[self._key()] = body
        self._answer(200)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        data = self.server.objects.get(self._key())
        if self.server.is_away:
            self._answer(403)
        elif "list-type" in query:
            self._answer(200, self._listing(query.get("prefix", [""])[0]))
        elif data is None:
            self._answer(404)
        elif found := re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(found[1]), min(int(found[2]), len(data) - 1)
            about = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            self._answer(206, data[first : last + 1], about)
        else:
            self._answer(200, data)

    def do_DELETE(self) -> None:
        self.server.objects.pop(self._key(), None)
        self._answer(204)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = re.findall(r"<Key>(.*?)</Key>", asked)
        for key in keys:
            self.server.objects.pop(f"/bucket/{key}", None)
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _listing(self, prefix: str) -> bytes:
        found = [
            ENTRY.format(escape(path.removeprefix("/bucket/")), len(data))
            for path, data in sorted(self.server.objects.items())
            if path.startswith(f"/bucket/{prefix}")
        ]
        listed = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(found)}"
        return f"{listed}</ListBucketResult>".encode()

    def _answer(self, status: int, body: bytes = b"", about: dict[str, str] | None = None) -> None:
        self.send_response(status)
        made = {
            "ETag": '"1"',
            "Last-Modified": "Fri, 20 Nov 2026 00:00:00 GMT",
            "Content-Length": str(len(body)),
        }
        for name, value in {**made, **(about or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

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
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.fixture
def shelf(bucket: Bucket) -> Shelf:
    return Shelf("s3://bucket/open", is_simulated=True)


async def pieces(shelf: Shelf, key: str, start: int, end: int) -> bytes:
    return b"".join([one async for one in await shelf.pieces(key, start, end)])


async def test_a_file_is_stored_under_the_address_and_read_whole_and_in_ranges(
    bucket: Bucket, shelf: Shelf, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(content)
    key = f"{day_prefix('nws_alerts', DAY)}a.parquet"
    shelf.put_file(key, tmp_path / "file")
    assert list(bucket.objects) == [f"/bucket/open/{key}"]
    assert shelf.path(key) is None
    assert await pieces(shelf, key, 0, len(content)) == content
    assert await pieces(shelf, key, 1000, 2345) == content[1000:2345]
    with pytest.raises(FileNotFoundError):
        await shelf.pieces("bulk/nothing", 0, 1)


async def test_an_index_comes_back_and_is_empty_before_the_first(shelf: Shelf) -> None:
    assert (await shelf.read_index("nws_alerts")).days == shelf.index("nws_alerts").days
    made = Index(dataset="nws_alerts", is_simulated=True)
    shelf.put_index(made)
    assert await shelf.read_index("nws_alerts") == shelf.index("nws_alerts") == made


def test_files_of_the_state_before_are_removed_and_no_others(
    bucket: Bucket, shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"a")
    prefix = day_prefix("nws_alerts", DAY)
    names = ("old.parquet", "new.parquet", "manifest.json")
    for name in names:
        shelf.put_file(f"{prefix}{name}", tmp_path / "file")
    shelf.remove_others("nws_alerts", DAY, {f"{prefix}new.parquet"})
    assert {path.rpartition("/")[2] for path in bucket.objects} == {"new.parquet", "manifest.json"}


async def test_a_store_that_refuses_is_an_error_and_not_an_empty_shelf(
    bucket: Bucket, shelf: Shelf
) -> None:
    bucket.is_away = True
    with pytest.raises(OSError, match="index"):
        await shelf.read_index("nws_alerts")
