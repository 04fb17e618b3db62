"""The sections of `emdata status`: data first, tables second."""
