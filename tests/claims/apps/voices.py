"""What the apps here say, and when they may go on."""

import asyncio
import os
import re
import time


def say(*words: object) -> None:
    """Write a line to stderr, past every buffer and every logger."""
    os.write(2, (" ".join(map(str, words)) + "\n").encode())


def is_released(name: str) -> bool:
    return os.path.exists(f"release-{name}")  # noqa: PTH110 - in a tight loop


async def awaits(name: str) -> None:
    say(name, "began")
    try:
        while not is_released(name):
            await asyncio.sleep(0.01)
        say(name, "ended")
    except Exception as error:
        say(name, "caught", type(error).__name__)
        raise
    except BaseException as error:
        say(name, "got", type(error).__name__)
        raise
    finally:
        say(name, "finally")


def threads(name: str) -> None:
    say(name, "began")
    while not is_released(name):
        time.sleep(0.01)
    say(name, "ended")


async def blocks(name: str) -> None:
    threads(name)


def computes(name: str) -> None:
    say(name, "began")
    while not is_released(name):
        sum(range(10_000))
    say(name, "ended")


def keeps_the_gil(name: str) -> None:
    say(name, "began")
    re.match(r"(a+)+$", "a" * 60 + "b")  # longer than anybody waits
    say(name, "ended")


async def blocks_in_pieces(name: str) -> None:
    say(name, "began")
    while not is_released(name):
        time.sleep(0.3)
        await asyncio.sleep(0)
    say(name, "ended")


KINDS = {
    function.__name__: function
    for function in (awaits, threads, blocks, computes, keeps_the_gil, blocks_in_pieces)
}
