"""One file per source; each is found by being here."""
