"""Cuts documents into rows without touching their bytes, and decodes one row at a time.

A row that no decoder accepts (NaN, a lone surrogate, bytes that are not UTF-8, a nesting of ten
thousand) must cost only itself, so a JSON array that fails to decode as a whole is cut by looking
at quotes and brackets alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from emdata.errors import DocumentError, RowError

T = TypeVar("T")
Raw = msgspec.Raw

BOM = b"\xef\xbb\xbf"
_ROWS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_ENVELOPE: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
# A whole string, or one structural byte. Possessive: no input makes it go back.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},:"]', re.DOTALL)
_BLANK = b" \t\r\n"
_SHOWN = 80


def body_of(body: bytes, *, what: str, content_type: str = "") -> bytes:
    """Return the body without its BOM and outer blanks, if it can be data at all.

    Raises DocumentError for an empty body and for HTML, which many a CDN sends with status 200.
    """
    text = body.removeprefix(BOM).strip(_BLANK)
    if not text:
        raise DocumentError(f"{what}: the body is empty")
    if text[:1] == b"<" or content_type in ("text/html", "application/xhtml+xml"):
        raise DocumentError(f"{what}: HTML or XML instead of data: {shown(text)}")
    return text


def is_json(body: bytes) -> bool:
    """Whether a body starts as a JSON object or array does."""
    return body[:64].removeprefix(BOM).lstrip(_BLANK)[:1] in (b"{", b"[")


def shown(data: bytes) -> str:
    """Return the first characters of some bytes, printable, for an error message."""
    return ascii(data[:_SHOWN].decode("utf-8", "replace"))


def envelope(body: bytes, *, what: str) -> dict[str, Raw]:
    """Return the members of a JSON object, undecoded.

    Raises DocumentError when the body is not one JSON object, or is cut off.
    """
    try:
        return _ENVELOPE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _cut_object(body, what)


def array(raw: bytes | Raw, *, what: str) -> list[Raw]:
    """Return the elements of a JSON array, undecoded.

    Raises DocumentError when it is not an array, or is cut off.
    """
    data = bytes(raw)
    try:
        return _ROWS.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [Raw(piece) for piece in _cut(data, b"[", b"]", what)]


def lines(body: bytes) -> list[Raw]:
    """Return the non-empty lines of a JSON Lines body."""
    return [Raw(line.strip(_BLANK)) for line in body.split(b"\n") if line.strip(_BLANK)]


def _cut_object(body: bytes, what: str) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for member in _cut(body.strip(_BLANK), b"{", b"}", what):
        name = _TOKEN.match(member)
        if name is None or len(name[0]) < 2:
            raise DocumentError(f"{what}: not a JSON object: {shown(member)}")
        rest = member[name.end() :].lstrip(_BLANK)
        if not rest.startswith(b":"):
            raise DocumentError(f"{what}: not a JSON object: {shown(member)}")
        key = name[0][1:-1].decode("utf-8", "replace")
        found[key] = Raw(rest[1:].strip(_BLANK))
    return found


def _cut(data: bytes, opening: bytes, closing: bytes, what: str) -> list[bytes]:
    """Cut between the commas of the outermost bracket."""
    data = data.strip(_BLANK)
    if not data.startswith(opening):
        raise DocumentError(f"{what}: expected {opening.decode()}, found {shown(data)}")
    depth, start = 0, 1
    pieces: list[bytes] = []
    for token in _TOKEN.finditer(data):
        mark = token[0]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                return _closed(data, token, pieces, start, closing, what)
        elif mark == b"," and depth == 1:
            pieces.append(data[start : token.start()].strip(_BLANK))
            start = token.end()
        elif mark == b'"':
            break
    raise DocumentError(f"{what}: cut off after {len(data)} bytes")


def _closed(
    data: bytes, end: re.Match[bytes], pieces: list[bytes], start: int, closing: bytes, what: str
) -> list[bytes]:
    if end[0] != closing or end.end() != len(data):
        raise DocumentError(f"{what}: malformed around byte {end.start()}")
    last = data[start : end.start()].strip(_BLANK)
    return [*pieces, last] if last or pieces else []


def csv_rows(body: bytes) -> list[Raw]:
    """Return the bytes of each record after the header (a quoted field may span lines).

    Raises DocumentError when a quote never closes.
    """
    records = list(_csv_records(body))
    return [Raw(record) for record in records[1:] if record.strip(_BLANK)]


def _csv_records(body: bytes) -> Iterator[bytes]:
    pending, quotes = bytearray(), 0
    for line in body.splitlines(keepends=True):
        pending += line
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield bytes(pending).rstrip(b"\r\n")
            pending.clear()
            quotes = 0
    if pending:
        raise DocumentError(f"CSV: a quoted field never ends: {shown(bytes(pending))}")


def csv_fields(record: bytes | Raw) -> list[str]:
    """Return the fields of one CSV record.

    Raises RowError for bytes that are not UTF-8 or not CSV.
    """
    try:
        text = bytes(record).decode("utf-8")
        return next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except UnicodeDecodeError as error:
        raise RowError(f"CSV row is not UTF-8: {error}") from None
    except csv.Error as error:
        raise RowError(f"CSV row is malformed: {error}") from None


def csv_mapping(header: Sequence[str], record: bytes | Raw) -> dict[str, str]:
    """Return the fields of one CSV record by column name.

    Raises RowError when the number of fields is not that of the header.
    """
    fields = csv_fields(record)
    if len(fields) != len(header):
        raise RowError(f"CSV row has {len(fields)} fields; the header names {len(header)}")
    return dict(zip(header, fields, strict=True))


@lru_cache(maxsize=8)
def csv_header(body: bytes) -> tuple[str, ...]:
    """Return the column names of a CSV body; kept for the rows that follow.

    Raises DocumentError when there is no header.
    """
    first = next(_csv_records(body.removeprefix(BOM)), None)
    if first is None:
        raise DocumentError("CSV: no header row")
    try:
        return tuple(name.strip() for name in csv_fields(first))
    except RowError as error:
        raise DocumentError(f"CSV header: {error}") from error


@lru_cache(maxsize=32)
def _decoder(kind: Hashable, strict: bool) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast(Any, kind), strict=strict)


def decode(raw: bytes | Raw, kind: type[T], *, strict: bool = True) -> T:
    """Decode one row; ``strict=False`` also takes numbers written as text.

    Raises RowError that says which field has which fault.
    """
    try:
        value: T = _decoder(cast(Hashable, kind), strict).decode(raw)
    except msgspec.ValidationError as error:
        raise RowError(_reason(error, keys(raw), kind)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RowError(f"not decodable JSON: {error}") from None
    return value


def convert(fields: dict[str, str | None], kind: type[T]) -> T:
    """Turn the texts of one CSV row into a wire struct; numbers and booleans are read from text.

    Raises RowError that says which field has which fault.
    """
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RowError(_reason(error, frozenset(fields), kind)) from None


def _reason(error: Exception, present: frozenset[str], kind: type) -> str:
    """The decoder names the first missing field only; an operator wants them all."""
    if "missing required field" in str(error) and issubclass(kind, msgspec.Struct):
        required = {f.encode_name for f in msgspec.structs.fields(kind) if f.required}
        missing = sorted(required - present)
        if missing:
            return f"required fields are missing: {', '.join(missing)}"
    return str(error)


def keys(raw: bytes | Raw) -> frozenset[str]:
    """Return the member names of a JSON object, or nothing when it is not one."""
    try:
        return frozenset(_ENVELOPE.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()


def wire_names(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names that a wire struct reads."""
    return frozenset(kind.__struct_encode_fields__)
