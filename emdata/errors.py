"""One error tree for every room.

Transient or permanent is decided once, by class: a retry loop asks
``isinstance(error, TransientError)`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence


class EmdataError(Exception):
    """Base of every error this project raises on purpose.

    ``code`` is stable, snake_case, and safe to put into a metric label.
    """

    code = "error"


class TransientError(EmdataError):
    """May succeed when tried again later."""

    code = "transient"


class PermanentError(EmdataError):
    """Fails the same way however often it is tried."""

    code = "permanent"


class SettingError(PermanentError):
    """A setting has a value that cannot be used; the command line exits with 2."""

    code = "setting"

    def __init__(
        self,
        name: str,
        *,
        value: object,
        allowed: str,
        searched: Sequence[str] = ("environment", ".env"),
        fix: str = "",
    ) -> None:
        self.name, self.value, self.allowed, self.fix = name, value, allowed, fix
        self.searched = tuple(searched)
        text = (
            f"setting {name}: value {value!r} is not allowed; allowed: {allowed}; "
            f"looked for in: {', '.join(self.searched)}"
        )
        super().__init__(f"{text}; {fix}" if fix else text)


class ContractError(PermanentError):
    """A record or a dataset declaration breaks its contract.

    ``where`` names the dataset and field, ``value`` the offending value (cut to 200 characters).
    """

    code = "contract"

    def __init__(self, where: str, *, value: object, allowed: str, fix: str = "") -> None:
        self.where, self.value, self.allowed = where, value, allowed
        shown = repr(value)
        shown = shown if len(shown) <= 200 else shown[:197] + "..."
        text = f"{where}: value {shown} is not allowed; allowed: {allowed}"
        super().__init__(f"{text}; {fix}" if fix else text)


class RowError(PermanentError):
    """One row of a document cannot be parsed; its neighbors go on."""

    code = "row"


class DocumentError(PermanentError):
    """A whole document is not what the source promises (HTML with 200, cut off, wrong envelope)."""

    code = "document"


class SourceUnavailable(TransientError):
    """The source did not answer usefully: connect, time-out, 5xx.

    ``retry_after`` is in seconds when the source named a time, else None.
    """

    code = "source_unavailable"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SourceThrottled(SourceUnavailable):
    """The source answered 429, or 503 with Retry-After."""

    code = "source_throttled"


class SourceRefused(PermanentError):
    """The source answered a 4xx other than 408, 425 and 429: asking again will not help."""

    code = "source_refused"


class ResponseTooLarge(PermanentError):
    """A body passed its cap before or after decompression."""

    code = "response_too_large"


class UnsafeAddress(PermanentError):
    """A redirect or a host resolves to an address that a source may not have."""

    code = "unsafe_address"


class BufferFull(TransientError):
    """The buffer refuses a record before it is acknowledged; ask again later."""

    code = "buffer_full"


class BufferUnavailable(TransientError):
    """A write or fsync of the buffer failed; nothing of that batch is acknowledged."""

    code = "buffer_unavailable"


class StateUnavailable(TransientError):
    """PostgreSQL cannot be reached."""

    code = "state_unavailable"


class WarehouseUnavailable(TransientError):
    """StarRocks cannot be reached."""

    code = "warehouse_unavailable"


class WarehouseError(PermanentError):
    """StarRocks refused a statement."""

    code = "warehouse"


class ServiceError(EmdataError):
    """A server of the platform did not start, stop or answer as it should."""

    code = "service"
