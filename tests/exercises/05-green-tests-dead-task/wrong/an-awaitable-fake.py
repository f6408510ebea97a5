# fails: sound-app-passes
# A fake that must be awaited tells the two apps apart; it only fits apps that have a postman.
"""Tests of the newsletter, against a mailroom of their own."""

import os

from fastapi.testclient import TestClient

from newsletter import SUBSCRIBERS, app, get_postman

os.environ.setdefault("MAILROOM_URL", "http://127.0.0.1:9")


class FakePostman:
    def __init__(self) -> None:
        self.letters: list[dict[str, str | int]] = []

    async def send(self, letter: dict[str, str | int]) -> None:
        self.letters.append(letter)


def test_publish_sends_a_letter_to_everybody() -> None:
    postman = FakePostman()
    app.dependency_overrides[get_postman] = lambda: postman
    with TestClient(app) as client:
        answer = client.post("/issues", json={"number": 7, "subject": "Gates"})
    assert answer.status_code == 202
    assert [letter["to"] for letter in postman.letters] == list(SUBSCRIBERS)
