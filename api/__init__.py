"""The open API: collections, summaries, streams and bulk files, read from StarRocks.

A request goes ``access`` (who asks, how much they may) -> ``routers`` (one module a noun) ->
``query`` (parameters to bound SQL) -> ``reading`` (connections, time caps, cache) -> ``formats``.
What there is to ask for is the ``catalog``: every contract, and every mart that declares itself.
"""
