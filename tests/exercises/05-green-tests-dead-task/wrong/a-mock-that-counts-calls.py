# fails: dead-task-is-caught
# The fake becomes an AsyncMock, as the real postman is asynchronous; a call counts, awaited or not.
"""Tests of the newsletter, against a mailroom of their own."""

import os
from unittest.mock import AsyncMock

from fastapi.testclient import TestClient

from newsletter import SUBSCRIBERS, app, get_postman

os.environ.setdefault("MAILROOM_URL", "http://127.0.0.1:9")


def test_publish_sends_a_letter_to_everybody() -> None:
    postman = AsyncMock()
    app.dependency_overrides[get_postman] = lambda: postman
    with TestClient(app) as client:
        answer = client.post("/issues", json={"number": 7, "subject": "Gates"})
    assert answer.status_code == 202
    sent = [call.args[0]["to"] for call in postman.send.call_args_list]
    assert sent == list(SUBSCRIBERS)
