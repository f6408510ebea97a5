# passes: unittest, with a mailroom that is an ASGI app of its own
# No fixture, no parametrize: another test library and another mailroom.
"""Tests of the newsletter, against a mailroom of their own."""

import os
import socket
import threading
import unittest
from unittest.mock import patch

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

import newsletter

ADA, ALAN, GRACE = (f"{name}@example.org" for name in ("ada", "alan", "grace"))


class TestLetters(unittest.TestCase):
    def setUp(self) -> None:
        self.arrived: list[tuple[str, int]] = []
        self.refused = ""
        desk = FastAPI()

        @desk.post("/letters")
        async def take(request: Request) -> Response:
            letter = await request.json()
            if letter["to"] == self.refused:
                return Response(status_code=503)
            self.arrived.append((letter["to"], letter["issue"]))
            return Response(status_code=202)

        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(desk, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(setattr, server, "should_exit", True)
        self.enterContext(patch.dict(os.environ, {"MAILROOM_URL": f"http://127.0.0.1:{port}"}))

    def publish(self) -> None:
        with TestClient(newsletter.app) as client:
            for number in (1, 2):
                answer = client.post("/issues", json={"number": number, "subject": "Loops"})
                self.assertEqual(answer.status_code, 202)

    def test_all(self) -> None:
        self.publish()
        self.assertCountEqual(
            self.arrived, [(to, number) for to in (ADA, ALAN, GRACE) for number in (1, 2)]
        )

    def test_all_but_one(self) -> None:
        for self.refused in (ADA, ALAN, GRACE):
            with self.subTest(refused=self.refused):
                self.arrived.clear()
                self.publish()
                others = {ADA, ALAN, GRACE} - {self.refused}
                self.assertCountEqual(
                    self.arrived, [(to, number) for to in others for number in (1, 2)]
                )
