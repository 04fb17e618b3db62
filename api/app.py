"""The ASGI application, from its parts."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

import api.routers
from api.access.document import described
from api.access.gate import Gate
from api.access.headers import SecurityHeaders
from api.caching.early import EarlyAnswers
from api.context import Api
from api.description import Descriptions
from api.fairness.layer import EarlyRefusal, FairnessLayer
from api.formats.compression import Compression
from api.methods import Methods
from api.problems import add_handlers
from api.serving.connections import LIMITS, connection_limits
from api.serving.refuser import REFUSER, Refuser
from api.serving.sizes import Sizes
from api.usage.layer import RefusedCount, UsageLayer

DESCRIPTION = """Public data about emergencies in the United States: disasters, weather alerts,
drought, fire detections, observed weather. Every number carries its origin and its age."""


TAGS = [
    {"name": "start", "description": "What is here."},
    {"name": "summaries", "description": "The questions that people ask first."},
    {"name": "sources", "description": "How fresh the data are, and whether all of it landed."},
    {"name": "collections", "description": "What there is to ask for."},
    {"name": "items", "description": "The data, by page or whole."},
    {"name": "streams", "description": "Records as they are accepted."},
    {"name": "bulk", "description": "Files by day."},
    {"name": "submitting", "description": "Sending records in."},
    {"name": "keys", "description": "Who you are, and your keys."},
    {"name": "usage", "description": "What was asked for."},
    {"name": "platform", "description": "Whether this process works."},
    {"name": "administration", "description": "For administrators of the platform."},
]
"""In the order in which the documentation shows them."""


def create_app(parts: Api) -> FastAPI:
    """Return the application; every module of ``api.routers`` is served."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        parts.access.start()
        parts.answers.versions.start()
        await parts.fairness.limiter.start()
        await parts.usage.start()
        yield {LIMITS: connection_limits(parts.settings), REFUSER: refuser(parts)}
        await parts.usage.stop()
        await parts.fairness.limiter.stop()
        await parts.door.close()
        await parts.access.close()
        parts.hub.close()
        await parts.answers.versions.close()
        parts.reader.close()
        parts.engine.dispose()

    app = FastAPI(
        title="Emergency data",
        openapi_url=None,
        version="1.0.0",
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=layers(parts),
        openapi_tags=TAGS,
        # Requests are counted and logged by our own layers, which know what may be kept of them;
        # OpenTelemetry would send addresses with their queries to whom OTEL_* names.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.openapi = described(app)  # type: ignore[method-assign]
    app.state.api = parts
    app.state.descriptions = Descriptions(app)
    add_handlers(app)
    for info in sorted(pkgutil.iter_modules(api.routers.__path__), key=lambda one: one.name):
        app.include_router(importlib.import_module(f"api.routers.{info.name}").router)
    return app


def layers(parts: Api) -> list[Middleware]:
    """Return what surrounds every route, outermost first.

    Usage, security headers, early refusal, sizes, identity (who calls), fairness (what they may),
    HEAD and OPTIONS, answers that are kept, compression.
    """
    settings = parts.settings
    fairness, usage = parts.fairness, parts.usage
    return [
        Middleware(
            UsageLayer,
            ledger=usage.ledger,
            networks=fairness.networks,
            clock=parts.clock,
            access_log=usage.access_log,
        ),
        Middleware(SecurityHeaders, is_https=_is_https(parts)),
        Middleware(EarlyRefusal, fairness=fairness),
        Middleware(Sizes, body_bytes=settings.api_body_bytes),
        Middleware(Gate, access=parts.access, is_every_request_audited=settings.audit_logging),
        Middleware(FairnessLayer, fairness=fairness),
        Middleware(Methods),
        Middleware(EarlyAnswers, answers=parts.answers),
        Middleware(Compression),
    ]


def refuser(parts: Api) -> Refuser:
    """Return what refuses floods before they come to the layers, in the layers' own words."""
    count = RefusedCount(parts.usage.ledger, parts.clock)
    return Refuser(parts.fairness, count, is_https=_is_https(parts))


def _is_https(parts: Api) -> bool:
    return parts.settings.api_public_url.startswith("https://")
