"""What a dead letter gives today: its records, checked for all that a session would reject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emdata.commits import SeenUpdate
from emdata.contracts.base import Record
from emdata.derive.limits import check_storable
from emdata.errors import EmdataError
from emdata.state.dead_letters import Letter
from stream_manager.dead_letters.reparse import Reparser, record_of
from stream_manager.polls.poll import MAX_PAYLOAD, RecordTooLarge
from stream_manager.polls.seen import SeenIndex


class ParsedElsewhere(EmdataError):
    """Nobody here can parse this letter; another release or another manager may."""

    code = "parsed_elsewhere"


class KnownContents(SeenIndex):
    """Compares with the manager's index where it has the dataset, else with PostgreSQL's rows."""

    def __init__(self, shared: SeenIndex) -> None:
        super().__init__()
        self._shared = shared
        self._versions: dict[tuple[str, bytes], str] = {}

    def take(self, dataset: str, known: Mapping[bytes, tuple[bytes, str | None]]) -> None:
        """Take what PostgreSQL has of some keys: (content hash, version) by key hash."""
        self.load(dataset, {key: content for key, (content, _) in known.items()})
        for key, (_, version) in known.items():
            if version is not None:
                self._versions[dataset, key] = version

    def content(self, dataset: str, key_hash: bytes) -> bytes | None:
        """Return the content hash last accepted for a key, or None."""
        if self._shared.is_loaded(dataset):
            return self._shared.content(dataset, key_hash)
        return super().content(dataset, key_hash)

    def update(self, dataset: str, updates: Iterable[SeenUpdate]) -> None:
        """Let the manager's index know, so that the next poll compares with it.

        It goes on comparing with the newest version: an older one only adds to the history.
        """
        if self._shared.is_loaded(dataset):
            self._shared.update(
                dataset,
                [
                    one
                    for one in updates
                    if (one.version or "") >= self._versions.get((dataset, one.key_hash), "")
                ],
            )


def parse_letter(
    letter: Letter, records: Mapping[str, type[Record]], reparsers: Mapping[str, Reparser]
) -> list[Record]:
    """Parse a letter with today's code; an empty list ignores it by rule. May block.

    Raises ParsedElsewhere when nobody here can, else one of ``RECORD_ERRORS``.
    """
    found: Sequence[Record]
    if letter.dataset is not None:
        contract = records.get(letter.dataset)
        if contract is None:
            raise ParsedElsewhere(f"no contract {letter.dataset} is known here")
        found = [record_of(contract, letter.payload)]
    else:
        reparser = reparsers.get(letter.stream)
        if reparser is None:
            raise ParsedElsewhere(
                f"stream {letter.stream} does not run here, or cannot parse again"
            )
        found = reparser.reparse(letter.payload, letter.raw_documents, letter.first_at)
    for record in found:
        check_storable(record)
        size = len(record.payload())
        if size > MAX_PAYLOAD:
            raise RecordTooLarge(f"{size} bytes; a record may have {MAX_PAYLOAD}")
        record.key_hash(), record.content_hash(), record.priority()
    return list(found)
