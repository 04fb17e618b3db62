"""The pages that people open: the front page and the API's documentation.

No build step and no host of somebody else: our files lie in ``static``, the two libraries
(Leaflet for the map, Swagger UI for the documentation) come from their packages.
"""
