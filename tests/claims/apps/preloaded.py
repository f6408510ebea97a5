"""A thread that is started while the module is imported."""

import os
import threading
import time

from newsletter import app
from voices import say


def beat() -> None:
    while True:
        say("beat of", os.getpid())
        time.sleep(0.05)


__all__ = ["app"]

threading.Thread(target=beat, daemon=True).start()
