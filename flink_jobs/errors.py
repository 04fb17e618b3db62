"""What can go wrong between us and Flink."""

from __future__ import annotations

from emdata.errors import PermanentError, ServiceError, TransientError


class FlinkUnavailable(TransientError):
    """The JobManager's REST interface cannot be reached or answers 5xx."""

    code = "flink_unavailable"


class FlinkRefused(PermanentError):
    """The JobManager refused a request."""

    code = "flink_refused"


class ClientFailed(ServiceError):
    """The process that compiles and submits jobs did not start, ended or did not answer."""

    code = "flink_client"


class CompileError(PermanentError):
    """A planned job does not compile, or its tables do not fit; nothing was stopped."""

    code = "flink_compile"
