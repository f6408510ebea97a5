"""JupyterLab's window, by what a person sees, clicks and types."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import ViewportSize, expect, sync_playwright

from tests.browser.lab import MARK

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

__all__ = ["SIZE", "Window", "open_browser"]

SIZE: ViewportSize = {"width": 1280, "height": 1000}

# Debian's Chromium needs no sandbox of its own to show pages of this machine, and as root has none.
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
# Milliseconds, and generous: kernels start here while the machine is busy with other things.
_PATIENCE = 60_000
_PATIENCE_WITH_A_RUN = 240_000
_FIND_CELL = """(cells, wanted) => cells.findIndex(
    cell => wanted ? cell === wanted : cell.classList.contains("jp-mod-active"))"""
_COUNT_POINTERS = """window.pointerEvents = 0;
for (const kind of ["pointerdown", "mousedown", "wheel", "touchstart"])
    window.addEventListener(kind, () => { window.pointerEvents += 1 }, true);"""
_HAS_RUN = re.compile(r"^\[\d+\]:$")


@contextmanager
def open_browser(chromium: str, mark: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=_QUIET, env={**os.environ, MARK: mark}
        )
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """The notebook in front. Cells are numbered from 0, code cells only."""

    def __init__(self, page: Page, pictures: Path) -> None:
        page.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        self._page = page
        self._pictures = pictures
        self._panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.dialog = page.locator(".jp-Dialog")

    def open(self, address: str, name: str) -> None:
        self._page.goto(address)
        self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Return once the notebook is in front, its kernel is idle and nothing is in the way."""
        tab = self._page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-current")
        expect(tab).to_contain_text(name)
        expect(self._panel.locator(".jp-Cell").first).to_be_visible()
        expect(self._panel.locator(".jp-KernelName")).to_contain_text("Python 3 (ipykernel)")
        status = self._page.locator("#jp-main-statusbar")
        expect(status).to_contain_text("Python 3 (ipykernel) | Idle")
        self.expect_nothing_in_the_way()

    def expect_nothing_in_the_way(self) -> None:
        """See no dialog, such as one that asks for a kernel, and no pop-up, such as news."""
        expect(self.dialog).to_have_count(0)
        expect(self._page.locator(".Toastify__toast")).to_have_count(0)

    # -- looking ----------------------------------------------------------------------------------

    def cell(self, number: int) -> Locator:
        return self._panel.locator(".jp-CodeCell").nth(number)

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-OutputArea")

    def take_picture(self, name: str, cell: int | None = None) -> None:
        """Keep a screenshot, with the end of a cell's output in sight."""
        if cell is not None:
            self.output(cell).last.scroll_into_view_if_needed()
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=self._pictures / f"{name}.png")

    # -- doing ------------------------------------------------------------------------------------

    def run_all(self, until: int) -> None:
        """Run > Run All Cells, and wait until this cell has run."""
        self._page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
        self._page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()
        self._wait_run(until)

    def run(self, number: int) -> None:
        """Click into a cell, press Shift+Enter and wait until it has run anew."""
        self.cell(number).locator(".cm-content").click()
        self._run_here(number)

    def _run_here(self, number: int) -> None:
        prompt = self._prompt(number)
        before = prompt.text_content() or ""
        self._page.keyboard.press("Shift+Enter")
        expect(prompt).not_to_have_text(before)
        self._wait_run(number)

    # -- by keys alone ----------------------------------------------------------------------------

    def watch_for_a_mouse(self) -> None:
        """Count what only a mouse, a pen or a finger does; from the next page that is opened on."""
        self._page.add_init_script(_COUNT_POINTERS)

    @property
    def pointer_events(self) -> int:
        return int(self._page.evaluate("window.pointerEvents"))

    def open_by_keys(self, path: str, name: str) -> None:
        """Take the command palette, and from it *Open from Path*."""
        press = self._page.keyboard.press
        press("Control+Shift+C")
        expect(self._page.locator(".lm-CommandPalette-input")).to_be_focused()
        self._page.keyboard.type("open from path")
        first = self._page.locator(".lm-CommandPalette-item").first
        expect(first).to_contain_text("Open from Path")
        press("Enter")
        expect(self.dialog.locator("input")).to_be_focused()
        self._page.keyboard.type(path)
        press("Enter")
        self.wait_ready(name)

    def walk_to(self, number: int) -> None:
        """Leave the editor and press an arrow key until this cell is the one that keys act on."""
        cells = self._panel.locator(".jp-Cell")
        wanted, active = (
            cells.evaluate_all(_FIND_CELL, kind)
            for kind in (self.cell(number).element_handle(), None)
        )
        self._page.keyboard.press("Escape")
        step = 1 if wanted > active else -1
        for place in range(active + step, wanted + step, step):
            self._page.keyboard.press("ArrowDown" if step > 0 else "ArrowUp")
            expect(cells.nth(place)).to_have_class(re.compile("jp-mod-active"))

    def run_by_keys(self, number: int) -> None:
        self.walk_to(number)
        self._run_here(number)

    def retype_by_keys(self, number: int, before: list[str], after: list[str]) -> None:
        self.walk_to(number)
        self._page.keyboard.press("Enter")
        expect(self.cell(number).locator(".cm-content")).to_be_focused()
        self._retype_here(before, after)

    # -- inside -----------------------------------------------------------------------------------

    def _prompt(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-InputPrompt")

    def _wait_run(self, number: int) -> None:
        expect(self._prompt(number)).to_have_text(_HAS_RUN, timeout=_PATIENCE_WITH_A_RUN)

    def retype(self, number: int, before: list[str], after: list[str]) -> None:
        """Turn a cell's lines into other lines, key by key; the first line stays as it is."""
        self.cell(number).locator(".cm-content").click()
        self._retype_here(before, after)

    def _retype_here(self, before: list[str], after: list[str]) -> None:
        press = self._page.keyboard.press
        changes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        # From the last to the first, so that a change moves no line that is still to be changed.
        for what, start, end, new_start, new_end in reversed(changes):
            if what == "equal":
                continue
            press("Control+Home")
            for _ in range(start - 1):
                press("ArrowDown")
            press("End")
            if end > start:
                for _ in range(start, end):
                    press("Shift+ArrowDown")
                press("Shift+End")
                press("Delete")
            for line in after[new_start:new_end]:
                press("Enter")
                press("Shift+Home")  # the editor has indented the line as it sees fit
                self._page.keyboard.type(line)

    def save(self) -> None:
        """Press Ctrl+S and wait until the tab no longer shows the dot of unsaved changes."""
        self._page.keyboard.press("Control+s")
        expect(self._page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty")).to_have_count(0)

    def follow(self, link: str) -> None:
        self._panel.get_by_role("link", name=link).first.click()

    def validate(self) -> str:
        """Press nbgrader's button and return what its dialog says; close the dialog."""
        self._panel.get_by_role("button", name="Validate").click()
        expect(self.dialog).to_have_count(1, timeout=_PATIENCE_WITH_A_RUN)
        said = self.dialog.inner_text()
        self.take_picture("6-validated")
        self.dialog.get_by_role("button").last.click()
        return said
