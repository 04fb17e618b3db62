"""Blocks read from their segments again, by whoever sends them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path

import msgspec

from emdata.errors import BufferUnavailable
from stream_manager.buffer.blocks import Block
from stream_manager.buffer.disk import Disk
from stream_manager.buffer.frames import decode_batch, decode_columns, read_frame
from stream_manager.buffer.recovery import segment_path

FRAMES_CACHED = 8


class BlockReader:
    """Reads frames and keeps the last few; safe on several threads."""

    def __init__(self, directory: Path, writer: int, disk: Disk) -> None:
        self._directory, self._writer, self._disk = directory, writer, disk
        self._guard = threading.Lock()
        self._frames: OrderedDict[tuple[int, int], list[Block]] = OrderedDict()

    def block(self, segment: int, offset: int, index: int) -> Block:
        """Return one block of the frame at ``offset`` of a segment.

        Raises BufferUnavailable when the segment cannot be read or its frame is damaged.
        """
        place = segment, offset
        with self._guard:
            blocks = self._frames.get(place)
        if blocks is None:
            blocks = self._read(segment, offset)
            with self._guard:
                self._frames[place] = blocks
                while len(self._frames) > FRAMES_CACHED:
                    self._frames.popitem(last=False)
        return blocks[index]

    def _read(self, segment: int, offset: int) -> list[Block]:
        path = segment_path(self._directory, segment)
        try:
            frame = read_frame(partial(self._disk.read_at, path), offset)
        except OSError as error:
            raise BufferUnavailable(f"buffer {path}: {error}") from error
        if frame is None:
            raise BufferUnavailable(f"buffer {path}: no intact frame at byte {offset}")
        try:
            batch = decode_batch(frame.payload)
            return [
                Block(self._writer, head, decode_columns(raw))
                for head, raw in zip(batch.heads, batch.columns, strict=True)
            ]
        except (msgspec.MsgspecError, ValueError) as error:
            raise BufferUnavailable(f"buffer {path}: byte {offset}: {error}") from error
