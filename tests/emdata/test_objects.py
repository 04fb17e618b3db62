"""Raw documents: stored once, removed in time, without keys of anybody."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from emdata.objects import RawStore, redact

DAY = date(2026, 11, 21)


def test_a_document_comes_back_as_it_was(tmp_path: Path) -> None:
    store = RawStore.local(tmp_path / "objects")
    body = b"\x00\xff" * 5000
    key = store.put("fema", DAY, body)
    assert store.get(key) == body
    assert key.startswith("raw/fema/2026-11-21/")


def test_the_same_bytes_of_a_day_are_stored_once(tmp_path: Path) -> None:
    store = RawStore.local(tmp_path)
    assert store.put("fema", DAY, b"same") == store.put("fema", DAY, b"same")
    assert store.put("fema", DAY, b"other") != store.put("fema", DAY, b"same")
    assert len(list(tmp_path.rglob("*.zst"))) == 2


def test_only_what_is_past_its_time_is_removed(tmp_path: Path) -> None:
    store = RawStore.local(tmp_path)
    keys = {days: store.put("nws", DAY - timedelta(days=days), b"x") for days in (0, 30, 31)}
    assert store.remove_before(DAY, keep=timedelta(days=30)) == 1
    assert store.get(keys[30]) == b"x"
    with pytest.raises(FileNotFoundError):
        store.get(keys[31])


def test_a_store_that_takes_nothing_says_so_as_an_os_error(tmp_path: Path) -> None:
    store = RawStore.local(tmp_path)
    (tmp_path / "raw").write_text("a file where a folder must be")
    with pytest.raises(OSError, match="raw/fema"):
        store.put("fema", DAY, b"x")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://h/p?api_key=canary&x=1", "https://h/p?api_key=REDACTED&x=1"),
        ("https://h/p?x=1&MAP_KEY=canary", "https://h/p?x=1&MAP_KEY=REDACTED"),
        ("https://h/p?x=1&token=canary 404", "https://h/p?x=1&token=REDACTED 404"),
        ("https://h/p?monkey=1", "https://h/p?monkey=1"),
    ],
)
def test_fault_42_keys_in_addresses_are_hidden(text: str, kept: str) -> None:
    assert redact(text) == kept
