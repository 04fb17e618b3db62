"""Who gets which format."""

from __future__ import annotations

import time

import pytest
from starlette.requests import Request

from api.formats.answer import headers_of
from api.formats.negotiate import FORMATS, accepted, formats_of, negotiate
from api.problems import Problem
from tests.api.formats.making import ALERTS, POSTS, document, form

OFFERED = formats_of(POSTS)


def _request(query: str = "", accept: str | None = None) -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return Request(
        {"type": "http", "method": "GET", "query_string": query.encode(), "headers": headers}
    )


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("", "geojson"),
        ("*/*", "geojson"),
        ("application/*", "geojson"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/*", "csv"),
        ("application/json, text/csv", "json"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("text/csv;q=0.5, application/x-ndjson;q=0.9", "ndjson"),
        ("application/geo+json;q=0, */*;q=0.1", "json"),
        ("application/vnd.apache.parquet", "parquet"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "geojson"),
        ("nonsense, text/csv", "csv"),
        ("text/csv;q=2, application/json", "json"),
        ("a/b/c, text/csv", "csv"),
    ],
)
def test_accept_is_read_with_its_qualities(accept: str, name: str) -> None:
    assert accepted(accept, OFFERED).name == name


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "*/*;q=0", "text/html"])
def test_what_is_not_there_is_refused_with_what_is(accept: str) -> None:
    with pytest.raises(Problem) as caught:
        accepted(accept, OFFERED)
    assert caught.value.status == 406
    assert caught.value.headers["Vary"] == "Accept"
    assert caught.value.extra["formats"]["csv"] == "text/csv"


def test_f_wins_over_accept() -> None:
    assert negotiate(_request("f=csv", "application/json"), OFFERED).name == "csv"
    assert negotiate(_request("", "application/json"), OFFERED).name == "json"


def test_an_unknown_f_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Problem, match="ndjson") as caught:
        negotiate(_request("f=xlsx"), OFFERED)
    assert caught.value.status == 400


def test_a_format_of_other_collections_is_not_acceptable_here() -> None:
    with pytest.raises(Problem) as caught:
        negotiate(_request("f=cap"), OFFERED)
    assert caught.value.status == 406
    assert "cap" not in caught.value.extra["allowed"]


def test_exports_have_the_formats_that_stream() -> None:
    names = {one.name for one in formats_of(ALERTS, is_export=True)}
    assert names == {"geojson", "json", "ndjson", "csv", "parquet", "geoparquet", "arrow"}


def test_a_long_accept_is_read_in_no_time() -> None:
    started = time.process_time()
    accepted("text/csv;q=0.1," * 100_000, OFFERED)
    accepted("a/" * 100_000, OFFERED)
    accepted(";" * 100_000 + ",text/csv", OFFERED)
    assert time.process_time() - started < 1


def test_names_and_media_types_are_sane() -> None:
    assert len({one.name for one in FORMATS}) == len(FORMATS)
    assert all(kind == kind.lower() for one in FORMATS for kind in one.media_types)


def test_headers_say_age_origin_links_and_a_file_name() -> None:
    headers = headers_of(form("csv"), document(number_matched=3))
    assert headers == {
        "Content-Type": "text/csv; charset=utf-8",
        "Vary": "Accept",
        "Emdata-Simulated": "false",
        "Emdata-Data-Version": "v1",
        "Emdata-Newest-Accepted-At": "2026-11-21T15:59:58Z",
        "OGC-NumberMatched": "3",
        "Link": '<http://127.0.0.1:8000/collections/posts/items>; rel="self"; '
        'type="application/geo+json"',
        "Content-Disposition": 'attachment; filename="posts.csv"',
    }


def test_a_link_cannot_break_out_of_its_header() -> None:
    links = ({"href": "http://h/?q=>;rel=x", "rel": "self", "type": "a/b"},)
    assert "<http://h/?q=%3E;rel=x>" in headers_of(form("json"), document(links=links))["Link"]


def test_long_addresses_leave_room_in_the_headers_and_the_next_link_in_them() -> None:
    filters = "x" * 2000
    links = [
        {"href": f"http://h/?f={name}&{filters}", "rel": "alternate", "type": "a/b"}
        for name in "abcdefgh"
    ]
    following = {"href": f"http://h/?cursor=1&{filters}", "rel": "next", "type": "a/b"}
    header = headers_of(form("csv"), document(links=(*links, following)))["Link"]
    assert header.startswith("<http://h/?cursor=1&")
    assert len(header) < 6000
