"""Where an answer's age and origin come from."""

from __future__ import annotations

from api.catalog.model import Collection
from api.context import Api
from api.formats.model import Origin


async def origin_of(api: Api, collection: Collection) -> Origin:
    """Return the age and origin of what a collection holds now."""
    version = api.answers.versions.of(collection.id)
    if version is None:
        return Origin(is_simulated=api.is_simulated)
    return Origin(api.is_simulated, version.token, version.newest_accepted_at)
