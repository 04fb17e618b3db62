"""Refusing query parameters that a route does not know: a misspelt one would say nothing."""

from __future__ import annotations

from fastapi import Depends, Request

from api.problems import bad_parameter


def _no_others(request: Request) -> None:
    known = sorted(one.alias for one in request.scope["route"].dependant.query_params)
    for name in request.query_params:
        if name not in known:
            raise bad_parameter(name, request.query_params[name], ", ".join(known) or "none here")


NoOtherParameters = Depends(_no_others)
"""A dependency for routers whose parameters are all declared."""
