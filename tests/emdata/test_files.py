"""A file that is replaced is private, whole, and left alone when the new one cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from emdata.files import replace_file


def test_a_replaced_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret"
    replace_file(file, "größe")
    file.chmod(0o644)
    replace_file(file, b"\xff")
    assert file.read_bytes() == b"\xff"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    file = tmp_path / "secret"
    replace_file(file, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
