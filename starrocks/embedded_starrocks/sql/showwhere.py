"""LIKE, WHERE, ORDER BY and LIMIT behind SHOW: rows chosen by the texts of their columns.

Source: StarRocks 3.5 documentation, "SHOW TABLES", "SHOW VARIABLES" and others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from embedded_starrocks.errors import semantic_error
from embedded_starrocks.mysql.resultset import Row
from embedded_starrocks.sql.words import Words, like_pattern

_Test = Callable[[Row], bool]


def chosen(words: Words, names: Sequence[str], rows: list[Row], column: int = 0) -> list[Row]:
    """The rows that LIKE 'pattern' (about `column`) or WHERE ... leaves; reads to the end."""
    if words.accept("LIKE"):
        pattern = like_pattern(words.string())
        rows = [row for row in rows if pattern.match(_text(row[column]))]
    elif words.accept("WHERE"):
        test = _either(words, names)
        rows = [row for row in rows if test(row)]
    if words.accept("ORDER", "BY") or words.accept("ORDER BY"):
        rows = _ordered(words, names, rows)
    if words.accept("LIMIT"):
        rows = _limited(words, rows)
    words.finish()
    return rows


def _ordered(words: Words, names: Sequence[str], rows: list[Row]) -> list[Row]:
    keys: list[tuple[int, bool]] = []
    while not keys or words.accept(","):
        index = _index(words.name(), names)
        keys.append((index, words.any_of("ASC", "DESC") == "DESC"))
    for index, descends in reversed(keys):
        rows = sorted(rows, key=_by_number_or_text(index), reverse=descends)
    return rows


def _by_number_or_text(index: int) -> Callable[[Row], tuple[int, str]]:
    def key(row: Row) -> tuple[int, str]:
        text = _text(row[index])
        return (int(text), "") if text.isdigit() else (0, text)

    return key


def _limited(words: Words, rows: list[Row]) -> list[Row]:
    """LIMIT n, LIMIT skipped, n, LIMIT n OFFSET skipped."""
    count, skipped = _whole(words), 0
    if words.accept(","):
        skipped, count = count, _whole(words)
    elif words.accept("OFFSET"):
        skipped = _whole(words)
    return rows[skipped : skipped + count]


def _whole(words: Words) -> int:
    text = words.name()
    if not text.isdigit():
        raise words.error("expected a whole number")
    return int(text)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _either(words: Words, names: Sequence[str]) -> _Test:
    tests = [_all(words, names)]
    while words.accept("OR"):
        tests.append(_all(words, names))
    return lambda row: any(test(row) for test in tests)


def _all(words: Words, names: Sequence[str]) -> _Test:
    tests = [_one(words, names)]
    while words.accept("AND"):
        tests.append(_one(words, names))
    return lambda row: all(test(row) for test in tests)


def _one(words: Words, names: Sequence[str]) -> _Test:
    if words.accept("("):
        test = _either(words, names)
        words.expect(")")
        return test
    index = _index(words.name(), names)
    is_not = words.accept("NOT")
    if words.accept("LIKE"):
        pattern = like_pattern(words.string())
        return lambda row: bool(pattern.match(_text(row[index]))) != is_not
    if words.accept("IN", "("):
        wanted = [words.name().lower()]
        while words.accept(","):
            wanted.append(words.name().lower())
        words.expect(")")
        return lambda row: (_text(row[index]).lower() in wanted) != is_not
    if is_not or words.peek() not in ("=", "!=", "<>"):
        raise words.error("expected =, !=, LIKE or IN")
    equals = words.name() == "="
    value = words.name().lower()
    return lambda row: (_text(row[index]).lower() == value) == equals


def _index(name: str, names: Sequence[str]) -> int:
    for index, known in enumerate(names):
        if known.lower() == name.lower():
            return index
    raise semantic_error(f"Column '{name}' cannot be resolved; there are {', '.join(names)}")
