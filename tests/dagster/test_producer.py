"""KafkaResource's producer against a real HTTP server that speaks the ingest endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from emdata.contracts import contracts
from emdata.errors import ContractError, ServiceError, SourceUnavailable
from emergency_pipeline.resources import KafkaResource
from emergency_pipeline.resources.producer import BATCH, BATCH_BYTES, IngestProducer, Sent
from emergency_pipeline.site import Site
from tests.support.ports import free_ports

DATASET = "fema_disaster_declarations"
TOKEN = "test-token"


@dataclass
class Endpoint:
    """The ingest endpoint's contract: bearer token, JSON array, answer after storing."""

    url: str = ""
    stored: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200
    answer: bytes | None = None

    def take(self, path: str, token: str | None, body: bytes) -> tuple[int, bytes]:
        """Answer one request."""
        if token != f"Bearer {TOKEN}":
            return 401, b'{"detail": "token"}'
        if self.status != 200 or self.answer is not None:
            return self.status, self.answer or b"no room"
        self.paths.append(path)
        good, rejected = [], []
        for index, row in enumerate(json.loads(body)):
            if "disaster_number" in row:
                good.append(row)
            else:
                rejected.append({"index": index, "reason": "disaster_number is required"})
        self.stored.extend(good)
        return 200, json.dumps({"accepted": len(good), "rejected": rejected}).encode()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = found.take(self.path, self.headers.get("Authorization"), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _producer(endpoint: Endpoint) -> IngestProducer:
    return IngestProducer(endpoint.url, token=lambda: TOKEN)


def _row(number: int) -> dict[str, Any]:
    return {"disaster_number": number, "place_code": "0", "refreshed_at": "2026-11-21T12:00:00Z"}


def test_records_reach_the_ingest_endpoint_of_their_dataset(endpoint: Endpoint) -> None:
    producer = _producer(endpoint)
    producer.send(DATASET, _row(1))
    assert endpoint.stored == []
    assert producer.flush() == Sent(accepted=1)
    assert endpoint.paths == [f"/v1/records/{DATASET}"]
    assert endpoint.stored == [_row(1)]
    assert producer.flush() == Sent()


def test_a_record_of_the_contract_is_sent_with_its_zone(endpoint: Endpoint) -> None:
    from datetime import UTC, datetime

    contract = contracts()[DATASET]
    record = contract(
        disaster_number=7, place_code="0", refreshed_at=datetime(2026, 11, 21, 12, tzinfo=UTC)
    )
    with _producer(endpoint) as producer:
        producer.send(DATASET, record)
    assert endpoint.stored[0]["disaster_number"] == 7
    assert endpoint.stored[0]["refreshed_at"] == "2026-11-21T12:00:00Z"


def test_rejected_records_come_back_with_reasons_and_their_neighbors_pass(
    endpoint: Endpoint,
) -> None:
    producer = _producer(endpoint)
    for row in (_row(1), {"place_code": "0"}, _row(2)):
        producer.send(DATASET, row)
    sent = producer.flush()
    assert sent.accepted == 2
    assert [item["reason"] for item in sent.rejected] == ["disaster_number is required"]


def test_a_full_batch_is_posted_without_a_flush_and_counted(endpoint: Endpoint) -> None:
    producer = _producer(endpoint)
    for number in range(BATCH + 1):
        producer.send(DATASET, _row(number))
    assert len(endpoint.stored) == BATCH
    assert producer.flush().accepted == BATCH + 1


def test_large_records_are_divided_into_requests_the_endpoint_takes(endpoint: Endpoint) -> None:
    producer = _producer(endpoint)
    for number in range(5):
        producer.send(DATASET, _row(number) | {"title": "x" * (BATCH_BYTES // 2)})
    assert producer.flush().accepted == 5
    assert len(endpoint.paths) == 5
    assert [row["disaster_number"] for row in endpoint.stored] == list(range(5))


@pytest.mark.parametrize("status", [429, 503, 507])
def test_records_stay_when_the_manager_has_no_room(endpoint: Endpoint, status: int) -> None:
    producer = _producer(endpoint)
    producer.send(DATASET, _row(1))
    endpoint.status = status
    with pytest.raises(SourceUnavailable):
        producer.flush()
    endpoint.status = 200
    assert producer.flush().accepted == 1
    assert endpoint.stored == [_row(1)]


def test_records_stay_when_the_manager_is_away() -> None:
    producer = IngestProducer(f"http://127.0.0.1:{free_ports(1)[0]}", token=lambda: TOKEN)
    producer.send(DATASET, _row(1))
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1"):
        producer.flush()
    assert producer.waiting == 1


def test_a_wrong_token_is_an_error_that_trying_again_does_not_help(endpoint: Endpoint) -> None:
    producer = IngestProducer(endpoint.url, token=lambda: "wrong")
    producer.send(DATASET, _row(1))
    with pytest.raises(ServiceError, match="401"):
        producer.flush()


def test_an_answer_that_says_no_count_is_an_error(endpoint: Endpoint) -> None:
    endpoint.answer = b"<html>"
    producer = _producer(endpoint)
    producer.send(DATASET, _row(1))
    with pytest.raises(ServiceError, match="unreadable"):
        producer.flush()


def test_an_unknown_dataset_is_refused_with_the_known_ones(endpoint: Endpoint) -> None:
    with pytest.raises(ContractError, match=DATASET):
        _producer(endpoint).send("fema_disasters", _row(1))


def test_the_resource_reads_the_token_when_it_is_used(
    endpoint: Endpoint, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMDATA_HOME", str(site.settings.home))
    monkeypatch.setenv("SOURCES", "simulator")
    resource = KafkaResource(bootstrap_servers="127.0.0.1:9092", manager_url=endpoint.url)
    token = site.credentials().ingest_token
    assert token not in resource.model_dump_json()
    assert resource.get_producer().token() == token
