"""A notebook in JupyterLab's window, by what a person sees and clicks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["NotebookPage"]

# Generous: a kernel may start beside seven other programs that do.
_MOMENT = 30_000
_RUN = 240_000
_ALL = re.compile("")


class NotebookPage:
    """The notebook that is open in front. Times are milliseconds."""

    def __init__(self, page: Page, pictures: Path) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.dialog = page.locator(".jp-Dialog")
        self._pictures = pictures

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return once the notebook is shown, its kernel idle, and nothing lies over it."""
        expect(self.panel).to_have_count(1, timeout=_MOMENT)
        expect(self.panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
            "data-status", "idle", timeout=_MOMENT
        )
        self.expect_nothing_in_the_way()

    def expect_nothing_in_the_way(self) -> None:
        """No dialog (which kernel, say) and no pop-up (news, say)."""
        expect(self.dialog).to_have_count(0)
        expect(self.page.locator(".Toastify__toast")).to_have_count(0)

    # -- looking ----------------------------------------------------------------------------------

    def cell(self, text: str) -> Locator:
        """The one code cell whose code has this text."""
        editor = self.page.locator(".jp-InputArea-editor", has_text=text)
        return self.panel.locator(".jp-CodeCell", has=editor)

    @property
    def code_cells(self) -> Locator:
        return self.panel.locator(".jp-CodeCell")

    @property
    def errors(self) -> Locator:
        """The red boxes."""
        return self.panel.locator('.jp-OutputArea-output[data-mime-type$="stderr"]').or_(
            self.panel.locator('.jp-OutputArea-output[data-mime-type$=".error"]')
        )

    def take_picture(self, name: str, of: Locator | None = None) -> None:
        """Keep a screenshot of the window, with `of` in sight."""
        if of is not None:
            of.scroll_into_view_if_needed()
        self._pictures.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._pictures / f"{name}.png")

    # -- doing ------------------------------------------------------------------------------------

    def choose(self, menu: str, entry: str) -> None:
        self.page.locator("#jp-MainMenu").get_by_text(menu, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()

    def run(self, cell: Locator) -> None:
        """Run one cell with Shift+Enter and wait for its end."""
        cell.locator(".jp-InputArea-editor").click()
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.page.keyboard.press("Shift+Enter")
        expect(prompt).not_to_have_text(before, timeout=_MOMENT)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=_RUN)

    def run_all(self) -> None:
        self.choose("Run", "Run All Cells")
        last = self.code_cells.last.locator(".jp-InputPrompt")
        expect(last).to_have_text(re.compile(r"\[\d+\]"), timeout=_RUN)

    def save(self, path: Path) -> None:
        """Save with the keyboard, and return once the file on disk has changed."""
