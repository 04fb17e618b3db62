"""Reading a statement word by word, for those that no SQL grammar covers."""

from __future__ import annotations

import re

from sqlglot import exp

from embedded_starrocks.errors import syntax_error
from embedded_starrocks.sql.dialect import Token, TokenType


class Words:
    """A cursor over tokens. Words are compared without case; quoted ones are taken as they are."""

    def __init__(self, found: list[Token], sql: str) -> None:
        self._tokens = found
        self._sql = sql
        self._at = 0
        # Whether SHOW GLOBAL was said.
        self.is_global = False

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at].text.upper() if at < len(self._tokens) else ""

    def kind(self) -> TokenType | None:
        """The type of the token that comes next."""
        return None if self.done else self._tokens[self._at].token_type

    def accept(self, *words: str) -> bool:
        """Take the given words if they come next."""
        if all(self.peek(index) == word for index, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.error(f"expected {' '.join(words)}")

    def any_of(self, *words: str) -> str:
        """Take one of the words; "" if none comes next."""
        word = self.peek()
        if word in words:
            self._at += 1
            return word
        return ""

    def name(self) -> str:
        """Take an identifier or a word."""
        if self.done or not self._tokens[self._at].text:
            raise self.error("expected a name")
        self._at += 1
        return self._tokens[self._at - 1].text

    def raw(self) -> str:
        """Take any token; a string with its quotes."""
        if self.done:
            raise self.error("expected more")
        token = self._tokens[self._at]
        self._at += 1
        return self._sql[token.start : token.end + 1]

    def string(self) -> str:
        """Take a quoted string."""
        if self.done or self._tokens[self._at].token_type != TokenType.STRING:
            raise self.error("expected a quoted string")
        return self.name()

    def table(self) -> exp.Table:
        """Take [[catalog.]db.]name."""
        parts = [self.name()]
        while self.accept("."):
            parts.append(self.name())
        if len(parts) > 3:
            raise self.error("a name has at most three parts")
        padded: list[str | None] = [None] * (3 - len(parts)) + list(parts)
        catalog, db, name = padded
        return exp.table_(name or "", db=db, catalog=catalog)

    def save(self) -> int:
        """Where the cursor is, for `restore`."""
        return self._at

    def restore(self, at: int) -> None:
        self._at = at

    def rest(self) -> str:
        """The source text from here to the end."""
        if self.done:
            return ""
        text = self._sql[self._tokens[self._at].start : self._tokens[-1].end + 1]
        self._at = len(self._tokens)
        return text

    def finish(self) -> None:
        if not self.done:
            raise self.error("unexpected text")

    def error(self, problem: str) -> Exception:
        near = self._tokens[self._at].text if not self.done else "the end"
        return syntax_error(f"{problem} near '{near}'")


def like_pattern(pattern: str) -> re.Pattern[str]:
    """A LIKE pattern of SHOW as a regular expression, without case."""
    parts = []
    escaped = False
    for letter in pattern:
        if escaped:
            parts.append(re.escape(letter))
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            parts.append({"%": ".*", "_": "."}.get(letter, re.escape(letter)))
    return re.compile("".join(parts) + r"\Z", re.IGNORECASE | re.DOTALL)
