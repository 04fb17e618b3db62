"""The buffer: an append-only log of segment files that acknowledges a record once it is fsynced."""

from stream_manager.buffer.frames import Batch, Entry
from stream_manager.buffer.log import BufferLog, Recovery
from stream_manager.buffer.writer import BufferWriter

__all__ = ["Batch", "BufferLog", "BufferWriter", "Entry", "Recovery"]
