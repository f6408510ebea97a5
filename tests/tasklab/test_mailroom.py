from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tasklab.gates import DeadlinePassed, wait_until
from tasklab.launcher import BenchBroken
from tasklab.letterbox import Letterbox
from tasklab.mailroom import Mailroom

LETTER = {"to": "ada@example.org", "subject": "Gates", "issue": 7}


@pytest.fixture
def mailroom() -> Iterator[Mailroom]:
    with Mailroom() as running:
        yield running


class Post(threading.Thread):
    """Send a letter from a thread of its own, and keep what came back."""

    def __init__(self, mailroom: Mailroom, **letter: Any) -> None:
        super().__init__(daemon=True)
        self.url = f"{mailroom.url}/letters"
        self.letter = {**LETTER, **letter}
        self.status = 0
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.status = requests.post(self.url, json=self.letter, timeout=30).status_code
        except requests.RequestException as error:
            self.error = error


def connect(mailroom: Mailroom) -> socket.socket:
    address = urlsplit(mailroom.url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


def request(
    body: bytes = json.dumps(LETTER).encode(), *headers: str, path: str = "/letters"
) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: mailroom", *headers]
    if not headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_the_first_letters_may_be_answered_while_the_others_are_held(mailroom: Mailroom) -> None:
    Post(mailroom).join(10)
    mailroom.hold(after=1)
    Post(mailroom).join(10)
    held = Post(mailroom)
    mailroom.wait_for(in_flight=1)
    assert [letter.status for letter in mailroom.letters] == [202, 202, None]
    mailroom.hold()
    mailroom.release()
    held.join(10)
    assert len(mailroom.delivered) == 3


def test_a_letter_is_recorded_and_accepted(mailroom: Mailroom) -> None:
    before = time.monotonic()
    answer = requests.post(f"{mailroom.url}/letters", json=LETTER, timeout=10)
    (letter,) = mailroom.letters
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert (letter.number, letter.to, letter.subject, letter.issue) == (
        1, "ada@example.org", "Gates", 7,
    )  # fmt: skip
    assert letter.status == 202
    assert letter.answered is not None
    assert before <= letter.arrived <= letter.answered <= time.monotonic()
    assert mailroom.delivered == mailroom.letters
    assert mailroom.in_flight == ()


def test_no_letter_waits_for_an_acknowledgement_of_the_one_before() -> None:
    delays = []

    def take(_: dict[str, Any], __: int, connection: socket.socket) -> int:
        delays.append(not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return 202

    with socket.create_server(("127.0.0.1", 0)) as listening:
        letterbox = Letterbox(listening, take)
        letterbox.start()
        host, port = listening.getsockname()
        assert requests.post(f"http://{host}:{port}/letters", json=LETTER, timeout=30).ok
        letterbox.close()
    assert delays == [False]


def test_sixty_letters_are_held_at_once_and_released_together(mailroom: Mailroom) -> None:
    mailroom.hold()
    posts = [Post(mailroom, issue=number) for number in range(60)]
    mailroom.wait_for(in_flight=60)
    assert mailroom.delivered == ()
    assert len(mailroom.awaited) == 60
    assert all(letter.answered is None for letter in mailroom.in_flight)
    mailroom.release()
    mailroom.wait_for(delivered=60)
    for post in posts:
        post.join(10)
    assert {post.status for post in posts} == {202}
    assert {letter.issue for letter in mailroom.letters} == set(range(60))
    assert [letter.number for letter in mailroom.letters] == list(range(1, 61))


def test_refusing_answers_an_error_until_it_accepts_again(mailroom: Mailroom) -> None:
    mailroom.refuse()
    post = Post(mailroom)
    post.join(10)
    mailroom.refuse(429)
    other = Post(mailroom)
    other.join(10)
    mailroom.accept()
    last = Post(mailroom)
    last.join(10)
    assert [post.status, other.status, last.status] == [503, 429, 202]
    assert len(mailroom.letters) == 3
    assert len(mailroom.delivered) == 1


def test_dropping_hangs_up_without_an_answer(mailroom: Mailroom) -> None:
    mailroom.drop()
    post = Post(mailroom)
    post.join(10)
    assert isinstance(post.error, requests.ConnectionError)
    assert [letter.status for letter in mailroom.letters] == [0]
    assert mailroom.delivered == mailroom.in_flight == ()


def test_a_delayed_letter_is_answered_after_its_time(mailroom: Mailroom) -> None:
    mailroom.delay(0.05)
    Post(mailroom).join(10)
    (letter,) = mailroom.delivered
    assert letter.answered is not None
    assert letter.answered - letter.arrived >= 0.05


def test_what_is_told_later_holds_for_letters_in_flight(mailroom: Mailroom) -> None:
    """A long delay ends when the mailroom accepts; a hold comes before a delay."""
    mailroom.delay(3600)
    Post(mailroom)
    mailroom.wait_for(in_flight=1)
    mailroom.accept()
    mailroom.wait_for(delivered=1)
    mailroom.hold()
    mailroom.delay(0.01)
    post = Post(mailroom)
    mailroom.wait_for(in_flight=1)
    mailroom.refuse(500)
    assert len(mailroom.in_flight) == 1
    mailroom.release()
    post.join(10)
    assert post.status == 500


def test_a_letter_whose_sender_hung_up_is_not_delivered(mailroom: Mailroom) -> None:
    """A worker that was killed, or a client with a timeout, never heard the answer."""
    mailroom.hold()
    with connect(mailroom) as gone:
        gone.sendall(request())
        mailroom.wait_for(in_flight=1)
        assert len(mailroom.awaited) == 1
    wait_until(lambda: not mailroom.awaited, what="the end of the connection")
    assert len(mailroom.in_flight) == 1
    mailroom.release()
    wait_until(lambda: not mailroom.in_flight, what="the end of the letter")
    assert [letter.status for letter in mailroom.letters] == [499]
    assert mailroom.delivered == ()


def test_when_the_sender_hung_up_is_noted_while_the_letter_is_held(mailroom: Mailroom) -> None:
    mailroom.hold()
    with connect(mailroom) as gone, connect(mailroom) as patient:
        gone.sendall(request())
        mailroom.wait_for(in_flight=1)
        patient.sendall(request())
        mailroom.wait_for(in_flight=2)
        before = time.monotonic()
        gone.close()
        wait_until(lambda: mailroom.letters[0].hung_up, what="the end of the connection")
        first, second = mailroom.letters
        assert before <= (first.hung_up or 0.0) <= time.monotonic()
        assert (first.status, second.hung_up) == (None, None)
        noted = first.hung_up
        mailroom.release()
        wait_until(lambda: not mailroom.in_flight, what="the end of both letters")
        assert mailroom.letters[0].hung_up == noted
        assert [letter.status for letter in mailroom.letters] == [499, 202]


def test_who_hangs_up_on_an_answer_that_is_overdue_is_not_to_blame(
    mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine let the mailroom not run, and the app's client had a timeout."""
    monkeypatch.setattr("tasklab.mailroom._LATE", 0.05)
    # Nothing goes on in the mailroom until this is free.
    with mailroom._changed, connect(mailroom) as gone:
        gone.sendall(request())
        time.sleep(0.1)
    wait_until(lambda: mailroom._late, what="the end of the letter")
    for evidence in ("letters", "in_flight", "delivered", "awaited"):
        with pytest.raises(BenchBroken, match="too busy to answer a letter: the app hung up when"):
            getattr(mailroom, evidence)
    assert repr(mailroom) == "<Mailroom: 1 letters arrived, 0 delivered, 0 in flight>"


def test_who_hangs_up_on_a_held_letter_is_to_blame(
    mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasklab.mailroom._LATE", 0.0)
    mailroom.hold()
    with connect(mailroom) as gone:
        gone.sendall(request())
        mailroom.wait_for(in_flight=1)
    wait_until(lambda: mailroom.letters[0].hung_up, what="the end of the connection")
    mailroom.release()
    wait_until(lambda: not mailroom.in_flight, what="the end of the letter")
    assert [letter.status for letter in mailroom.letters] == [499]


def test_an_answer_is_due_from_the_release_on(mailroom: Mailroom) -> None:
    mailroom.hold()
    gone = connect(mailroom)
    gone.sendall(request())
    (letter,) = mailroom.wait_for(in_flight=1)
    wait_until(lambda: time.monotonic() > letter.arrived + 0.1, what="a while")
    with mailroom._changed:
        before = time.monotonic()
        mailroom.release()
        gone.close()
    wait_until(lambda: not mailroom.in_flight, what="the end of the letter")
    assert 0 < mailroom._late <= time.monotonic() - before


def test_a_mailroom_that_closes_notes_who_had_hung_up() -> None:
    with Mailroom() as mailroom:
        mailroom.hold()
        patient = connect(mailroom)
        with connect(mailroom) as gone:
            gone.sendall(request())
            mailroom.wait_for(in_flight=1)
            patient.sendall(request())
            mailroom.wait_for(in_flight=2)
    patient.close()
    first, second = mailroom.letters
    assert first.hung_up is not None
    assert second.hung_up is None


def test_a_letter_cut_off_in_the_middle_never_arrived(mailroom: Mailroom) -> None:
    with connect(mailroom) as gone:
        gone.sendall(request()[:-5])
    Post(mailroom).join(10)
    assert len(mailroom.letters) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(b"not json"), 422),
        (request(b"[1, 2]"), 422),
        (request(b"[" * 60_000), 422),
        (request(b"\xff\xfe{}"), 422),
        (request(b"{}", "Content-Length: 9999999999"), 413),
        (request(b"{}", "Content-Length: -1"), 411),
        (request(b"{}", "Content-Length: ²"), 411),
        (request(b"2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 411),
        (request(path="/elsewhere"), 404),
        (b"GET /letters HTTP/1.1\r\n\r\n", 404),
    ],
)
def test_what_is_no_letter_gets_an_answer_and_is_not_recorded(
    mailroom: Mailroom, sent: bytes, status: int
) -> None:
    with connect(mailroom) as client:
        client.sendall(sent)
        answer = client.makefile("rb").readline()
    assert answer.split()[1] == str(status).encode()
    assert mailroom.letters == ()


def test_a_flood_ends_before_it_fills_the_memory(
    mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasklab.mailroom._MOST_LETTERS", 2)
    posts = [Post(mailroom) for _ in range(3)]
    for post in posts:
        post.join(10)
    assert sorted(post.status for post in posts) == [202, 202, 507]
    monkeypatch.undo()
    monkeypatch.setattr("tasklab.mailroom._MOST_BYTES", mailroom._bytes + 10)
    big = Post(mailroom)
    big.join(10)
    assert big.status == 507


def test_one_subscriber_is_refused_at_once_while_the_others_are_held(mailroom: Mailroom) -> None:
    mailroom.hold()
    early = Post(mailroom, to="alan@example.org")
    mailroom.wait_for(in_flight=1)
    mailroom.refuse(410, to="alan@example.org")
    mailroom.drop(to="grace@example.org")
    other, late = Post(mailroom), Post(mailroom, to="alan@example.org")
    dropped = Post(mailroom, to="grace@example.org")
    for post in (early, late, dropped):
        post.join(10)
    assert (early.status, late.status) == (410, 410)
    assert isinstance(dropped.error, requests.ConnectionError)
    mailroom.wait_for(in_flight=1)
    mailroom.accept()
    again = Post(mailroom, to="alan@example.org")
    for post in (other, again):
        post.join(10)
    assert (other.status, again.status) == (202, 202)


def test_wait_for_says_what_did_not_come(mailroom: Mailroom) -> None:
    with pytest.raises(DeadlinePassed, match=r"1 letter in flight and 3 letters delivered"):
        mailroom.wait_for(in_flight=1, delivered=3, within=0.05)


def test_stopping_ends_at_once_with_letters_in_flight() -> None:
    mailroom = Mailroom().start()
    threads = threading.active_count()
    mailroom.hold()
    posts = [Post(mailroom) for _ in range(10)]
    mailroom.wait_for(in_flight=10)
    mailroom.stop()
    for post in posts:
        post.join(10)
    assert all(isinstance(post.error, requests.ConnectionError) for post in posts)
    assert len(mailroom.in_flight) == 10
    wait_until(lambda: threading.active_count() < threads, what="the end of its threads")
    with pytest.raises(ConnectionRefusedError):
        connect(mailroom)
    mailroom.stop()


def test_a_letter_that_comes_while_the_mailroom_closes_is_hung_up_on(
    mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up_after_one_more(self: Letterbox) -> None:
        with connect(mailroom) as late:
            late.sendall(request())
            answers.append(late.recv(1))
        close(self)

    answers: list[bytes] = []
    close = Letterbox.close
    monkeypatch.setattr(Letterbox, "close", hang_up_after_one_more)
    mailroom.hold()
    mailroom.stop()

    assert answers == [b""]
    assert not mailroom.letters


def test_a_mailroom_starts_again_and_forgets_nothing(mailroom: Mailroom) -> None:
    mailroom.hold()
    Post(mailroom)
    mailroom.wait_for(in_flight=1)
    first = mailroom.url
    mailroom.start()
    mailroom.accept()
    Post(mailroom).join(10)
    assert mailroom.url != first
    assert [letter.status for letter in mailroom.letters] == [None, 202]
    assert repr(mailroom) == "<Mailroom: 2 letters arrived, 1 delivered, 1 in flight>"
