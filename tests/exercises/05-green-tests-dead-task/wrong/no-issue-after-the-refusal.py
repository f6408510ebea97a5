# fails: refusal-costs-one-letter
# The others get the issue all the same; whether they get the next one, too, is not asked.
"""Tests of the newsletter, against a mailroom of their own."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

import pytest
from fastapi.testclient import TestClient

from newsletter import app

SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")


class Mailroom(ThreadingHTTPServer):
    """A real HTTP server that takes letters, as the mail provider does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.letters: list[dict[str, str | int]] = []
        self.refused: set[str | int] = set()


class Desk(BaseHTTPRequestHandler):
    server: Mailroom

    def do_POST(self) -> None:
        letter = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = letter["to"] in self.server.refused
        if not refused:
            self.server.letters.append(letter)
        self.send_response(410 if refused else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mailroom(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailroom]:
    with Mailroom() as server:
        monkeypatch.setenv("MAILROOM_URL", server.url)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def publish(*numbers: int) -> None:
    with TestClient(app) as client:
        for number in numbers:
            answer = client.post("/issues", json={"number": number, "subject": "Gates"})
            assert answer.status_code == 202


def test_every_subscriber_gets_every_issue(mailroom: Mailroom) -> None:
    publish(7, 8)
    arrived = Counter((letter["to"], letter["issue"]) for letter in mailroom.letters)
    assert arrived == Counter(product(SUBSCRIBERS, (7, 8)))


@pytest.mark.parametrize("refused", SUBSCRIBERS)
def test_a_refused_letter_costs_only_itself(mailroom: Mailroom, refused: str) -> None:
    mailroom.refused.add(refused)
    publish(7)
    arrived = {(letter["to"], letter["issue"]) for letter in mailroom.letters}
    assert arrived == set(product(set(SUBSCRIBERS) - {refused}, (7,)))
