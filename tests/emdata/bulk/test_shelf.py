"""Bulk files in object storage that is not this machine's disk."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from emdata.bulk.manifest import DaySummary, Index, Manifest
from emdata.bulk.shelf import Shelf

DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "bulk/made/2026-11-20/abc.parquet"
CONTENT = bytes(range(256)) * 20_000


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf("memory:///", is_simulated=False)
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    made.put_file(KEY, file)
    return made


def _manifest(**changes: object) -> Manifest:
    given: dict[str, object] = {
        "dataset": "made",
        "title": "Made",
        "day": DAY,
        "built_at": AT,
        "rows": 3,
        "is_settled": True,
        "is_simulated": False,
        "terms": "none",
        "data_version": "v",
        "accepted": None,
        "events": None,
        "writers": (),
        "columns": (),
        "files": (),
        **changes,
    }
    return Manifest(**given)  # type: ignore[arg-type]


def _range(shelf: Shelf, start: int, end: int, key: str = KEY) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in await shelf.pieces(key, start, end)])

    return asyncio.run(read())


def test_a_file_comes_in_pieces_and_in_ranges(shelf: Shelf) -> None:
    assert shelf.path(KEY) is None
    assert _range(shelf, 0, len(CONTENT)) == CONTENT
    assert _range(shelf, 1_000_000, 1_000_010) == CONTENT[1_000_000:1_000_010]


def test_a_file_that_went_is_known_before_the_first_piece(shelf: Shelf) -> None:
    with pytest.raises(FileNotFoundError):
        _range(shelf, 0, 1, "bulk/made/2026-11-20/other.parquet")


def test_manifests_and_indexes_are_read_as_they_were_written(shelf: Shelf) -> None:
    summary = DaySummary(day=DAY, rows=3, bytes=9, is_settled=True, data_version="v", built_at=AT)
    shelf.put_manifest(_manifest())
    shelf.put_index(Index(dataset="made", is_simulated=False, days=(summary,)))
    assert (
        shelf.manifest("made", DAY) == _manifest() == asyncio.run(shelf.read_manifest("made", DAY))
    )
    assert shelf.index("made").days == (summary,) == asyncio.run(shelf.read_index("made")).days
    assert asyncio.run(shelf.read_manifest("made", date(2026, 1, 1))) is None
    assert asyncio.run(shelf.read_index("other")).days == ()


@pytest.mark.parametrize("dataset", ["../x", "a/b", "", "Made", "a" * 101, "made\n"])
def test_fault_43_a_name_that_no_dataset_has_is_never_a_place(shelf: Shelf, dataset: str) -> None:
    assert shelf.manifest(dataset, DAY) is None
    assert shelf.index(dataset).days == ()
    assert asyncio.run(shelf.read_manifest(dataset, DAY)) is None


def test_files_that_are_no_longer_named_are_removed_and_the_manifest_stays(shelf: Shelf) -> None:
    shelf.put_manifest(_manifest())
    shelf.remove_others("made", DAY, set())
    with pytest.raises(FileNotFoundError):
        _range(shelf, 0, 1)
    assert shelf.manifest("made", DAY) is not None
