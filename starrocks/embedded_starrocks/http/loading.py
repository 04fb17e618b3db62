"""Stream load and the transaction API over HTTP.

Source: StarRocks 3.5 documentation, "STREAM LOAD" and "Stream Load transaction interface"; field
names and letter case as the Flink connector reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from embedded_starrocks.http.bodies import unpacked, unpacker
from embedded_starrocks.http.options import load_options
from embedded_starrocks.storage.labels import PREPARE, VISIBLE, Label, LabelExists
from embedded_starrocks.storage.loads import Loads, TransactionError
from embedded_starrocks.storage.metadata import Relation
from embedded_starrocks.storage.readers import LoadError
from embedded_starrocks.storage.store import Store


class BodyTooLarge(Exception):
    """The body is larger than one load may be."""


class LoadRoutes:
    """Handlers of loads; each answers with HTTP 200 and a Status, as StarRocks does."""

    def __init__(
        self,
        store: Store,
        loads: Loads,
        user_of: Callable[[Request], str | None],
        denied: Callable[[], Response],
        max_bytes: int,
    ) -> None:
        self._store = store
        self._loads = loads
        self._user_of = user_of
        self._denied = denied
        self._max_bytes = max_bytes

    def routes(self) -> list[Route]:
        transaction = "/api/transaction/"
        return [
            Route("/api/{db}/{table}/_stream_load", self.stream_load, methods=["PUT"]),
            Route(transaction + "load", self.transaction_load, methods=["PUT"]),
            Route(transaction + "{operation}", self.transaction, methods=["POST"]),
            Route("/api/{db}/get_load_state", self.load_state, methods=["GET"]),
            Route("/api/_load_error_log/{key}", self.error_log, methods=["GET"]),
        ]

    # Rights and names

    def _may(self, user: str, privilege: str, relation: Relation) -> bool:
        rights = self._store.catalog.rights
        roles = rights.default_roles(user)
        return rights.allows(user, roles, privilege, relation.kind, relation.db, relation.name)

    def _relation(self, user: str, db: str, table: str) -> Relation:
        relation = self._store.catalog.relation(db, table)
        if relation is None:
            raise LoadError(f"unknown table, database={db}, table={table}")
        if not self._may(user, "INSERT", relation):
            raise LoadError(f"Access denied: user {user} has no INSERT on {db}.{table}")
        if relation.kind != "TABLE":
            raise LoadError(f"{db}.{table} is a {relation.kind}; it takes no rows")
        return relation

    # Bodies

    async def _spool(self, request: Request) -> Path:
        """Write the body into the spool. Raises BodyTooLarge or LoadError."""
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_bytes:
            raise BodyTooLarge
        encoding = (
            request.headers.get("compression") or request.headers.get("content-encoding") or ""
        ).lower()
        unpack = unpacker(encoding)
        path = self._loads.new_body()
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in request.stream():
                    for piece in unpacked(unpack, chunk):
                        size += len(piece)
                        if size > self._max_bytes:
                            raise BodyTooLarge
                        file.write(piece)
            if unpack is not None and not unpack.eof:
                raise LoadError(f"the {encoding} body is cut off")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    # Stream load

    async def stream_load(self, request: Request) -> Response:
        user = self._user_of(request)
        if user is None:
            return self._denied()
        db, table = request.path_params["db"], request.path_params["table"]
        name = request.headers.get("label") or str(uuid.uuid4())
        began = time.monotonic()
        label: Label | None = None
        path: Path | None = None
        try:
            relation = self._relation(user, db, table)
            options = load_options(request.headers)
            label = self._loads.labels.reserve(relation.db, name, relation.name, "STREAM_LOAD")
            path = await self._spool(request)
            staged = await asyncio.to_thread(self._loads.load, relation, label, path, options)
            answer = self._answer(label, "Success", "OK", began)
            if staged.filtered:
                answer["ErrorURL"] = self._error_url(request, label)
            return JSONResponse(answer)
        except LabelExists as taken:
            return JSONResponse(_label_exists(taken))
        except BodyTooLarge:
            self._abort(label, "body too large")
            return self._too_large(name)
        except (LoadError, ClientDisconnect) as error:
            self._abort(label, str(error))
            answer = self._answer(label, "Fail", str(error) or "the client went away", began, name)
            if label is not None and self._loads.errors_of(label.error_key):
                answer["ErrorURL"] = self._error_url(request, label)
            return JSONResponse(answer)
        finally:
            if path is not None:
                path.unlink(missing_ok=True)

    def _abort(self, label: Label | None, message: str) -> None:
        if label is not None and label.state == PREPARE:
            self._loads.labels.abort(label, message)

    def _too_large(self, name: str) -> Response:
        message = f"body is larger than {self._max_bytes} bytes; send it in parts"
        return JSONResponse(
            {"Label": name, "Status": "Fail", "Message": message},
            status_code=413,
            headers={"Connection": "close"},
        )

    def _error_url(self, request: Request, label: Label) -> str:
        return f"{request.base_url}api/_load_error_log/{label.error_key}"

    def _answer(
        self, label: Label | None, status: str, message: str, began: float, name: str = ""
    ) -> dict[str, Any]:
        total = label.total if label else 0
        filtered = label.filtered if label else 0
        unselected = label.unselected if label else 0
        loaded = total - filtered - unselected if status == "Success" else 0
        milliseconds = int((time.monotonic() - began) * 1000)
        return {
            "TxnId": label.txn_id if label else -1,
            "Label": label.name if label else name,
            "Status": status,
            "Message": message,
            "NumberTotalRows": total,
            "NumberLoadedRows": loaded,
            "NumberFilteredRows": filtered,
            "NumberUnselectedRows": unselected,
            "LoadBytes": label.size if label else 0,
            "LoadTimeMs": milliseconds,
            "BeginTxnTimeMs": 0,
            "StreamLoadPlanTimeMs": 0,
            "ReadDataTimeMs": 0,
            "WriteDataTimeMs": milliseconds,
            "CommitAndPublishTimeMs": 0,
        }

    # Transactions

    async def transaction_load(self, request: Request) -> Response:
        user = self._user_of(request)
        if user is None:
            return self._denied()
        headers = request.headers
        name = headers.get("label", "")
        began = time.monotonic()
        path: Path | None = None
        try:
            relation = self._relation(user, headers.get("db", ""), headers.get("table", ""))
            options = load_options(headers)
            path = await self._spool(request)
            label, staged = await asyncio.to_thread(
                self._loads.transaction_load, relation, name, path, options
            )
            answer = self._answer(label, "OK", "", began)
            answer["NumberTotalRows"] = staged.total
            answer["NumberLoadedRows"] = staged.loaded
            answer["NumberFilteredRows"] = staged.filtered
            return JSONResponse(answer)
        except BodyTooLarge:
            return self._too_large(name)
        except TransactionError as error:
            return JSONResponse(_failed(name, str(error), error.status))
        except (LoadError, ClientDisconnect) as error:
            return JSONResponse(_failed(name, str(error) or "the client went away"))
        finally:
            if path is not None:
                path.unlink(missing_ok=True)

    async def transaction(self, request: Request) -> Response:
        """begin, prepare, commit, rollback."""
        user = self._user_of(request)
        if user is None:
            return self._denied()
        operation = request.path_params["operation"]
        headers = request.headers
        name, db = headers.get("label", ""), headers.get("db", "")
        try:
            with contextlib.suppress(ClientDisconnect):
                await request.body()
            if operation not in ("begin", "prepare", "commit", "rollback"):
                raise TransactionError(f"unknown operation {operation}")
            if not name:
                # The Flink connector asks this way whether transactions are supported.
                raise TransactionError("empty label", "INVALID_ARGUMENT")
            if operation == "begin":
                relation = self._relation(user, db, headers.get("table", ""))
                label = self._loads.begin(relation.db, relation.name, name)
            else:
                found = self._store.catalog.database(db) or db
                work = getattr(self._loads, operation)
                self._check_owner(user, found, name)
                label = await asyncio.to_thread(work, found, name)
        except LabelExists as taken:
            return JSONResponse(_transaction_label_exists(taken, operation))
        except TransactionError as error:
            return JSONResponse(_failed(name, str(error), error.status))
        except LoadError as error:
            return JSONResponse(_failed(name, str(error)))
        return JSONResponse(
            {
                "Status": "OK",
                "Message": "",
                "Label": label.name,
                "TxnId": label.txn_id,
                "NumberTotalRows": label.total,
                "NumberLoadedRows": label.total - label.filtered,
                "NumberFilteredRows": label.filtered,
                "LoadBytes": label.size,
            }
        )

    def _check_owner(self, user: str, db: str, name: str) -> None:
        """Who may load into the table may also finish its transactions."""
        label = self._loads.labels.get(db, name)
        if label is not None:
            relation = self._store.catalog.relation(db, label.table)
            if relation is not None and not self._may(user, "INSERT", relation):
                raise TransactionError(f"Access denied: user {user}")

    async def load_state(self, request: Request) -> Response:
        user = self._user_of(request)
        if user is None:
            return self._denied()
        name = request.query_params.get("label", "")
        given = request.path_params["db"]
        db = self._store.catalog.database(given) or given
        try:
            self._check_owner(user, db, name)
        except TransactionError as error:
            return JSONResponse({**_failed(name, str(error)), "status": "FAILED"})
        state = self._loads.state(db, name)
        return JSONResponse(
            {"state": state, "label": name, "status": "OK", "msg": "Success", "Status": "OK"}
        )

    async def error_log(self, request: Request) -> Response:
        """The rejected rows of a load, as its ErrorURL promises."""
        errors = self._loads.errors_of(request.path_params["key"])
        if errors is None:
            return PlainTextResponse("no such load, or too long ago\n", status_code=404)
        return PlainTextResponse("\n".join(errors) + "\n")


def _label_exists(taken: LabelExists) -> dict[str, Any]:
    label = taken.label
    return {
        "TxnId": label.txn_id,
        "Label": label.name,
        "Status": "Label Already Exists",
        "ExistingJobStatus": "FINISHED" if label.state == VISIBLE else "RUNNING",
        "Message": str(taken),
    }


def _transaction_label_exists(taken: LabelExists, operation: str) -> dict[str, Any]:
    label = taken.label
    return {
        "Status": "LABEL_ALREADY_EXISTS",
        "Label": label.name,
        "TxnId": label.txn_id,
        "ExistingJobStatus": "FINISHED" if label.state == VISIBLE else "RUNNING",
        "Message": f"{operation}: {taken}",
    }


def _failed(name: str, message: str, status: str = "FAILED") -> dict[str, Any]:
    return {"Status": status, "Message": message, "Label": name, "TxnId": -1}
