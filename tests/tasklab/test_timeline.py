from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasklab import Heartbeat, Mailroom, Timeline, wait_until

ZERO = time.monotonic() - 60
"""When the first request of a scene was sent."""


@dataclass
class Asked:
    path: str
    sent: float
    received: float | None = None
    status: int | None = 200
    method: str = "GET"
    error: Exception | None = None


@dataclass
class Posted:
    to: str
    arrived: float
    answered: float | None = None
    status: int | None = None


@dataclass
class Pulse:
    times: list[float]
    since: float
    until: float
    period: float = 0.05
    lane: str = "event loop"


@dataclass
class Office:
    letters: list[Posted] = field(default_factory=list)


def asked(path: str, sent: float, received: float | None = None, **more: Any) -> Asked:
    received = None if received is None else ZERO + received
    return Asked(path, ZERO + sent, received, **more)


def posted(to: str, arrived: float, answered: float | None = None, status: int = 202) -> Posted:
    if answered is None:
        return Posted(f"{to}@example.org", ZERO + arrived)
    return Posted(f"{to}@example.org", ZERO + arrived, ZERO + answered, status)


def pulse(start: float, end: float, *silences: tuple[float, float], **more: Any) -> Pulse:
    beats = [start + 0.05 * number for number in range(int((end - start) / 0.05) + 1)]
    heard = [at for at in beats if not any(a < at < b for a, b in silences)]
    return Pulse([ZERO + at for at in heard], ZERO + start, ZERO + end, **more)


def blocked(title: Any = None) -> Timeline:
    """One letter is held while three clients ask; the beats stop from 0.1 s to 2.2 s."""
    timeline = Timeline(title).add(asked("/issues", 0, 0.02, method="POST", status=202))
    timeline.add([asked("/health", at, 2.2) for at in (0.3, 0.6, 0.9)])
    timeline.add(pulse(-0.5, 2.8, (0.12, 2.18)), Office([posted("ada", 0.1, 2.1)]))
    return timeline.bar("event loop", "requests.post", ZERO + 0.1, ZERO + 2.1, kind="blocking")


class Images(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "img"
        self.found.append(dict(attrs))


# -- titles ---------------------------------------------------------------------------------------


def test_the_title_quotes_what_was_measured() -> None:
    title = "{letters} letter, {requests} requests, {unanswered} unanswered, deaf for {longest_gap}"
    assert blocked(title).title == "1 letter, 4 requests, 0 unanswered, deaf for 2.1 s"
    assert blocked("waited {longest_wait:.2f}, {{braces}}").title == "waited 1.90, {braces}"


def test_the_title_may_be_a_function_of_the_timeline() -> None:
    def find(timeline: Timeline) -> str:
        return "deaf" if timeline.measured["longest_gap"] > 1 else "awake"

    assert blocked(find).title == "deaf"


def test_what_was_not_measured_is_not_claimed() -> None:
    timeline = Timeline("The loop was deaf for {longest_gap}").add(asked("/health", 0, 1))
    assert timeline.title == "The loop was deaf for an unknown time"


@pytest.mark.parametrize(
    "title", ["{deafness}", "{}", "{0}", "{", "{longest_gap.pulse}", "{letters:s}"]
)
def test_a_title_that_cannot_be_filled_in_is_refused_at_once(title: str) -> None:
    with pytest.raises(ValueError, match="it can quote longest_gap, longest_wait"):
        Timeline(title)


@pytest.mark.parametrize(
    ("timeline", "title"),
    [
        (blocked(), "The loop was deaf for 2.1 s"),
        (
            Timeline().add(pulse(0, 3, (1, 2), lane="client"), asked("/health", 0, 1)),
            "The server gave no answer for 1.0 s",
        ),
        (Timeline().add(pulse(0, 3, (1, 2)), lane="worker 47"), "Worker 47 was silent for 1.0 s"),
        (Timeline().add(asked("/issues", 0, 1.5)), "GET /issues: 200 after 1.5 s"),
        (Timeline().bar("redis", "BLPOP", ZERO, ZERO + 2), "BLPOP lasted 2.0 s"),
        (
            Timeline().add(asked("/issues", 0)).ends_at(ZERO + 4),
            "GET /issues: no answer for 4.0 s",
        ),
        (
            Timeline().add(asked("/issues", 0, 0.01), Office()),
            "GET /issues: 200; no letter arrived",
        ),
        (Timeline().dot("client", "asked", ZERO), "All of it took less than 0.1 s"),
        (Timeline().add(pulse(0, 1)), "The heartbeat never paused for 0.3 s"),
        (Timeline(), "Nothing happened"),
    ],
)
def test_without_a_title_the_longest_silence_or_bar_is_the_title(
    timeline: Timeline, title: str
) -> None:
    assert timeline.title == title


# -- words ----------------------------------------------------------------------------------------


def test_the_alt_text_says_the_same_with_its_numbers() -> None:
    assert blocked("The loop was deaf for {longest_gap}").alt_text == (
        "The loop was deaf for 2.1 s. Timeline from 0.0 s to 2.5 s. "
        "Client: POST /issues: 202, at 0.0 s; "
        "GET /health: 200 after 1.9 s, from 0.3 s to 2.2 s; "
        "GET /health: 200 after 1.6 s, from 0.6 s to 2.2 s; "
        "GET /health: 200 after 1.3 s, from 0.9 s to 2.2 s. "
        "Event loop: heartbeat every 0.05 s with 1 gap; no beat for 2.1 s, from 0.1 s to 2.2 s; "
        "requests.post, from 0.1 s to 2.1 s. "
        "Mailroom: letter to ada: 202 after 2.0 s, from 0.1 s to 2.1 s."
    )


def test_many_of_a_kind_are_counted_in_the_alt_text() -> None:
    letters = [posted(f"r{n}", 0.1 * n, 2.0 if n < 8 else None) for n in range(12)]
    timeline = Timeline().add(Office(letters)).ends_at(ZERO + 3)
    assert (
        "Mailroom: 12 letters: 8 × 202, 4 × still in flight, longest 2.2 s, from 0.0 s on"
        in timeline.alt_text
    )


def test_the_text_form_has_a_line_for_everything_in_order_of_time() -> None:
    lines = str(blocked("Deaf")).splitlines()
    starts = [line[4:9] for line in lines[1:]]
    assert starts == sorted(starts)
    assert sorted(lines) == sorted(
        [
            "Deaf",
            "    0.0 s to 0.0 s    client      POST /issues: 202",
            "    0.0 s             event loop  heartbeat every 0.05 s, 1 gap",
            "    0.1 s to 2.2 s    event loop  no beat for 2.1 s",
            "    0.1 s to 2.1 s    event loop  requests.post",
            "    0.1 s to 2.1 s    mailroom    letter to ada: 202 after 2.0 s",
            "    0.3 s to 2.2 s    client      GET /health: 200 after 1.9 s",
            "    0.6 s to 2.2 s    client      GET /health: 200 after 1.6 s",
            "    0.9 s to 2.2 s    client      GET /health: 200 after 1.3 s",
        ]
    )


def test_a_lane_in_which_nothing_happened_says_so() -> None:
    timeline = Timeline().add(asked("/issues", 0, 0.01), Office()).lane("thread pool")
    assert str(timeline).splitlines()[2:] == [
        "    0.0 s             thread pool  nothing seen",
        "    0.0 s             mailroom     no letter arrived",
    ]


@pytest.mark.parametrize(
    ("timeline", "words"),
    [
        (Timeline().add(posted("ada", 0)), "letter to ada: still in flight after 5.0 s"),
        (Timeline().add(posted("ada", 0, 2, 0)), "letter to ada: hung up after 2.0 s"),
        (Timeline().add(posted("ada", 0, 0.01, 503)), "letter to ada: 503"),
        (
            Timeline().add(asked("/", 0, error=ConnectionError())),
            "GET /: no answer, connection lost",
        ),
        (Timeline().bar("worker 4", "pid 4", ZERO), "pid 4: still alive"),
        (Timeline().bar("redis", "held {seconds}", ZERO, ZERO + 2), "held 2.0 s"),
    ],
)
def test_a_mark_says_how_it_ended(timeline: Timeline, words: str) -> None:
    assert str(timeline.ends_at(ZERO + 5)).splitlines()[1].endswith(f"  {words}")


# -- what is in the picture -----------------------------------------------------------------------


def test_lanes_have_one_order_whatever_came_first() -> None:
    timeline = Timeline()
    lanes = [
        "mailroom",
        "redis",
        "worker 4712",
        "worker 4711",
        "thread pool",
        "event loop",
        "client",
    ]
    for lane in lanes:
        timeline.dot(lane, "here", ZERO)
    order = [sentence.partition(":")[0] for sentence in timeline.alt_text.split(". ")[2:]]
    assert order == [
        "Client", "Event loop", "Thread pool", "Worker 4712", "Worker 4711", "Redis", "Mailroom",
    ]  # fmt: skip


def test_second_zero_is_the_first_request_and_older_letters_are_left_out() -> None:
    timeline = Timeline().add(Office([posted("old", -9, -8), posted("ada", 1, 2)]))
    assert "from 0.0 s to 11.0 s" in timeline.alt_text
    timeline.add(asked("/issues", 0, 0.01))
    assert "Timeline from 0.0 s to 2.0 s" in timeline.alt_text
    assert "old" not in timeline.alt_text
    timeline.starts_at(ZERO + 0.5)
    assert "letter to ada: 202 after 1.0 s, from 0.5 s to 1.5 s" in timeline.alt_text
    assert "GET" not in timeline.alt_text


def test_what_ends_later_than_the_picture_has_not_ended() -> None:
    timeline = blocked().ends_at(ZERO + 1)
    assert "GET /health: no answer for 0.7 s, from 0.3 s on" in timeline.alt_text
    assert "still in flight after 0.9 s" in timeline.alt_text
    assert "no beat for 0.9 s" in timeline.alt_text
    assert "still blocking" in timeline.alt_text


def test_evidence_is_read_again_when_the_picture_is_shown() -> None:
    with Mailroom() as mailroom:
        timeline = Timeline("{letters} letters, {in_flight} in flight").add(mailroom, mailroom)
        assert timeline.title == "0 letters, 0 in flight"
        mailroom.hold()
        post(mailroom.url)
        mailroom.wait_for(in_flight=1)
        assert timeline.title == "1 letters, 1 in flight"
        mailroom.release()
        mailroom.wait_for(delivered=1)
        assert timeline.title == "1 letters, 0 in flight"
        assert "letter to ada: 202" in timeline.alt_text


def post(url: str) -> None:
    from tasklab.client import Client

    client = Client()
    client.url = url
    client.ask("POST", "/letters", json={"to": "ada@example.org", "subject": "7", "issue": 7})


def test_a_real_heartbeat_is_drawn_with_its_open_gap() -> None:
    import asyncio

    async def hold() -> Timeline:
        with Heartbeat() as beats:
            timeline = Timeline().add(beats)
            time.sleep(0.5)
            assert "The loop was deaf for" in timeline.title
        return timeline

    timeline = asyncio.run(hold())
    assert "no beat for" in str(timeline)


def test_an_open_request_lasts_until_now() -> None:
    answer = Asked("/health", time.monotonic())
    timeline = Timeline().add(answer)
    wait_until(lambda: "no answer for 0.2 s" in timeline.title)


# -- shown and saved ------------------------------------------------------------------------------


def test_the_notebook_gets_an_image_with_its_alt_text() -> None:
    timeline = blocked('<b>"Deaf" & dumb</b>')
    (image,) = Images(timeline._repr_html_()).found
    assert image["alt"] == timeline.alt_text
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert image["width"] == "756"


def test_the_plain_text_beside_it_holds_no_address_of_an_object() -> None:
    from IPython.core.formatters import PlainTextFormatter

    assert PlainTextFormatter()(blocked()) == str(blocked())
    assert repr(blocked()) == "<Timeline: The loop was deaf for 2.1 s>"


def test_it_is_saved_as_a_picture_or_as_words(tmp_path: Path) -> None:
    timeline = blocked()
    assert timeline.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    svg = timeline.save(str(tmp_path / "a.svg")).read_text(encoding="utf-8")
    assert f'<svg role="img" aria-label="{timeline.alt_text}"' in svg
    assert timeline.save(tmp_path / "a.txt").read_text(encoding="utf-8") == f"{timeline}\n"
    with pytest.raises(ValueError, match=r"end the name in .png, .svg or .txt"):
        timeline.save(tmp_path / "a.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "a.txt"]


def test_importing_it_does_not_import_matplotlib() -> None:
    code = "import sys, tasklab.timeline; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# -- misuse ---------------------------------------------------------------------------------------


def test_misuse_gets_one_sentence() -> None:
    timeline = Timeline()
    with pytest.raises(ValueError, match=r"ends -1 s before it starts|ends 1 s before it starts"):
        timeline.bar("client", "back", 2.0, 1.0)
    with pytest.raises(ValueError, match="no kind 'blok'; choose one of request, work, blocking"):
        timeline.bar("client", "bar", 1.0, 2.0, kind="blok")
    with pytest.raises(ValueError, match="no kind 'bang'; choose one of event, start, exit"):
        timeline.dot("client", "dot", 1.0, kind="bang")
    with pytest.raises(ValueError, match=r"'dot' is at nan; give seconds from time.monotonic"):
        timeline.dot("client", "dot", float("nan"))
    with pytest.raises(TypeError, match="cannot draw 7; add a mailroom"):
        timeline.add(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot draw 'x'"):
        timeline.add(["x"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="needs since and until"):
        timeline.beats("event loop", [])
    assert timeline.title == "Nothing happened"


def test_a_heartbeat_without_a_beat_is_one_long_gap() -> None:
    timeline = Timeline().beats("event loop", [], since=ZERO, until=ZERO + 2)
    assert timeline.title == "The loop was deaf for 2.0 s"
    never = SimpleNamespace(times=(), period=0.05, since=ZERO, until=ZERO + 2)
    assert Timeline().add(never).title == "The loop was deaf for 2.0 s"
