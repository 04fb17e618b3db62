"""One module a noun; each has a ``router``, and being here is being served."""
