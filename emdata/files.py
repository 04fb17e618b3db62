"""Files that are replaced in one step, so that a crash or a reader meets the old or the new."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(file: Path, content: bytes | str, *, is_durable: bool = True) -> None:
    """Write a file with mode 0600 in one step; its folder is made when it is missing.

    content: text is written as UTF-8. is_durable: fsynced before it takes the old one's place.
    Raises OSError; the old file is then as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            if is_durable:
                os.fsync(stream.fileno())
        os.replace(scratch, file)
    except OSError:
        Path(scratch).unlink(missing_ok=True)
        raise
