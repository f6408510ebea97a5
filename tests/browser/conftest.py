from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    for name in NAMES:
        if path := shutil.which(name):
            return path
    sentence = "There is no Chromium on the PATH: install the package chromium, and run this again."
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)
