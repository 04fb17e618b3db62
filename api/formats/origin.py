"""Where an answer's age and origin come from."""

from __future__ import annotations

from api.catalog.model import Collection
from api.context import Api
from api.formats.model import Origin


async def origin_of(api: Api, collection: Collection) -> Origin:  # noqa: ARG001
    """Return the age and origin of what a collection holds now."""
    return Origin(is_simulated=api.is_simulated)
