"""What readers of the open API do: look at what is new, follow links, export, ask for freshness.

Answers with 429 are part of it: they count as answered when they say when to come again.
"""

from __future__ import annotations

import random
from typing import Any

import gevent
from locust import FastHttpUser, between, events, task

_JSON = {"Accept": "application/json"}


@events.init.add_listener
def on_init(**_: Any) -> None:
    """Take the time anew: a timer of gevent's counts from the loop's last look at the clock.

    That was before everything was imported, which takes longer than a short run on a busy machine.
    """
    gevent.get_hub().loop.update_now()


class _Reader(FastHttpUser):
    """Knows the collections; waits between requests as people and programs do."""

    abstract = True
    collections: list[str]

    def on_start(self) -> None:
        """Look at what there is; come again when that is asked."""
        while (answer := self.ask("/collections", "/collections", **_JSON)).status_code == 429:
            gevent.sleep(float(answer.headers["retry-after"]))
        listed = answer.json()["collections"] if answer.status_code == 200 else []
        self.collections = [one["id"] for one in listed]

    def ask(self, path: str, name: str, **headers: str) -> Any:
        """GET a path; a refusal by a limit has to say until when."""
        with self.client.get(path, name=name, headers=headers, catch_response=True) as answer:
            if answer.status_code == 429 and "retry-after" in answer.headers:
                answer.success()
            if answer.status_code == 503 and answer.json()["type"] == "/problems/not-built":
                answer.success()  # a mart of a platform that has just begun
            return answer

    def any_collection(self) -> str:
        """Return the id of a collection."""
        return random.choice(self.collections) if self.collections else "none"


class Newsroom(_Reader):
    """Asks for the same pages again and again, with what it has."""

    wait_time = between(0.5, 2)
    weight = 5

    def on_start(self) -> None:
        """Begin with nothing kept."""
        super().on_start()
        self.known: dict[str, str] = {}

    @task(5)
    def look_again(self) -> None:
        """A page, unless it is the one that is known."""
        path = f"/collections/{self.any_collection()}/items?limit=20"
        known = {"If-None-Match": self.known[path]} if path in self.known else {}
        answer = self.ask(path, "/collections/{id}/items", **known)
        if etag := answer.headers.get("etag"):
            self.known[path] = etag

    @task
    def freshness(self) -> None:
        """How old the sources are."""
        self.ask("/sources", "/sources")


class Laboratory(_Reader):
    """Reads page after page, and takes whole collections now and then."""

    wait_time = between(1, 3)
    weight = 2

    @task(4)
    def pages(self) -> None:
        """Some pages by their links."""
        name = "/collections/{id}/items (pages)"
        path = f"/collections/{self.any_collection()}/items?limit=200&f=json"
        for _ in range(5):
            answer = self.ask(path, name)
            if answer.status_code != 200:
                return
            links = answer.json().get("links", [])
            following = [one["href"] for one in links if one["rel"] == "next"]
            if not following:
                return
            path = following[0]

    @task
    def export(self) -> None:
        """Everything of a collection."""
        path = f"/collections/{self.any_collection()}/export?f=csv"
        self.ask(path, "/collections/{id}/export")


class Script(_Reader):
    """Asks as fast as it is answered, as a beginner's loop does."""

    wait_time = between(0.05, 0.1)
    weight = 1

    @task
    def page(self) -> None:
        """A page that differs each time."""
        limit = random.randint(1, 50)
        path = f"/collections/{self.any_collection()}/items?limit={limit}"
        self.ask(path, "/collections/{id}/items (loop)")
