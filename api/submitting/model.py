"""What a submitted body may be, derived from a contract."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, get_type_hints

import msgspec

from emdata.contracts.base import Record, Submitted
from emdata.derive.limits import check_identity, check_storable
from emdata.errors import ContractError

Style = Literal["snake", "camel"]
_FIELD = re.compile(r"`\$\.(\w+)`|field `(\w+)`")
_NAMESPACE = uuid.UUID("5a0b1f9e-6d43-4c5f-9b1e-3c1d6f7a2e48")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an item cannot be taken: its place in the body, from 0, and the member if it is one's."""

    index: int
    field: str | None
    reason: str

    def shown(self) -> dict[str, Any]:
        """Return it as a member of a problem document."""
        return {"index": self.index, "field": self.field, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Item:
    """One valid item: the record's JSON, its key, its id, and whom it is said to be from.

    tenant: whose the row will be, where its dataset has rows of tenants.
    """

    payload: bytes
    key: str
    id: str
    reporter: str
    tenant: str | None = None


@dataclass(frozen=True)
class Form:
    """How records of one dataset are written in a body; ``style`` names their members.

    Members are those of the contract but the time of receipt; the id may be left out.
    """

    record: type[Record]
    style: Style = "snake"

    @cached_property
    def declared(self) -> Submitted:
        """How the contract is submitted. Raises ContractError when it is not."""
        declared = self.record.dataset.submitted
        if declared is None:
            raise ContractError(
                f"{self.record.dataset.name}: submitted", value=None, allowed="a dataset with it"
            )
        return declared

    @cached_property
    def body_type(self) -> type[msgspec.Struct]:
        """The type of one item; members that are not its own are refused."""
        hints = get_type_hints(self.record, include_extras=True)
        fields: list[Any] = []
        for field in msgspec.structs.fields(self.record):
            if field.name == self.declared.received:
                continue
            if field.name == self.declared.made:
                fields.append((field.name, hints[field.name] | None, None))
            elif field.required:
                fields.append((field.name, hints[field.name]))
            else:
                fields.append((field.name, hints[field.name], field.default))
        return msgspec.defstruct(
            self.record.__name__,
            fields,
            kw_only=True,
            forbid_unknown_fields=True,
            rename="camel" if self.style == "camel" else None,
        )

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decodes one item."""
        return msgspec.json.Decoder(self.body_type)

    def shown(self, name: str) -> str:
        """Return a field's name as it is written in a body."""
        encoded = dict(
            zip(
                self.body_type.__struct_fields__,
                self.body_type.__struct_encode_fields__,
                strict=True,
            )
        )
        return encoded.get(name, name)

    def read(
        self, rows: list[msgspec.Raw], received_at: datetime, retry: str | None
    ) -> tuple[list[Item], list[Fault]]:
        """Return the valid items and what is wrong with the others.

        retry: names this request; the same again gives the same ids. Raises ContractError for a
        dataset that nobody submits.
        """
        decode = self.decoder.decode
        items: list[Item] = []
        faults: list[Fault] = []
        for index, raw in enumerate(rows):
            try:
                items.append(self._item(decode(raw), index, received_at, retry))
            except (msgspec.MsgspecError, ContractError, RecursionError, ValueError) as error:
                faults.append(Fault(index, self._field_of(error), str(error)))
        faults.extend(_repeated(items))
        return items, faults

    def _item(
        self, decoded: msgspec.Struct, index: int, received_at: datetime, retry: str | None
    ) -> Item:
        given = msgspec.structs.asdict(decoded)
        made, declared = given[self.declared.made], self.declared
        if made is None:
            made = _id(retry, index)
        record = self.record(**{**given, declared.made: made, declared.received: received_at})
        key = record.record_key()
        check_storable(record)
        check_identity(record.dataset.name, key, record.version_text())
        reporter, column = str(given[declared.reporter]), record.dataset.tenant_column
        tenant = None if column is None else str(given[column])
        return Item(msgspec.json.encode(record), key, made, reporter, tenant)

    def _field_of(self, error: Exception) -> str | None:
        if isinstance(error, ContractError):
            name = error.where.rpartition(".")[2]
            return self.shown(name) if name in self.record.__struct_fields__ else None
        found = _FIELD.search(str(error))
        return found[1] or found[2] if found else None


def _id(retry: str | None, index: int) -> str:
    if retry is None:
        return str(uuid.uuid4())
    return str(uuid.uuid5(_NAMESPACE, f"{retry}\n{index}"))


def _repeated(items: list[Item]) -> Iterator[Fault]:
    """Two items of one key in one request: the second would silently replace the first."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.key in seen:
            yield Fault(index, None, f"{item.key!r} is in this request twice")
        seen.add(item.key)
