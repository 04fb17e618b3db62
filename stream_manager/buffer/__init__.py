"""The buffer: an append-only log of segment files that acknowledges a record once it is fsynced."""

from stream_manager.buffer.blocks import Block, Columns, Drafts, Run, blocks_of, in_log_order
from stream_manager.buffer.frames import StoredCommit
from stream_manager.buffer.log import BufferLog, Recovery
from stream_manager.buffer.writer import BufferWriter

__all__ = [
    "Block",
    "BufferLog",
    "BufferWriter",
    "Columns",
    "Drafts",
    "Recovery",
    "Run",
    "StoredCommit",
    "blocks_of",
    "in_log_order",
]
