"""JupyterLab on a hub, and nbgrader's panels in it, by what a person sees and clicks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page

__all__ = ["Desk"]

# Milliseconds, and generous: a hub starts a JupyterLab for each of its people, and nbgrader
# answers each click with a program or two.
_PATIENCE = 300_000


class Desk:
    """One person's JupyterLab in a window of the browser."""

    def __init__(self, page: Page, url: str, name: str, pictures: Path) -> None:
        page.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        self._page = page
        self._url = url
        self._name = name
        self._pictures = pictures
        self.menu = page.locator(".lm-Menu-itemLabel").filter(has_text=re.compile(r"\S"))
        self.courses = page.locator("#formgrader_list")

    def take_picture(self, name: str) -> None:
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=self._pictures / f"{name}-{self._name}.png")

    def log_in(self) -> None:
        """Give name and password, and wait for the JupyterLab that the hub starts."""
        self._page.goto(f"{self._url}/hub/login")
        self._page.locator("#username_input").fill(self._name)
        self._page.locator("#password_input").fill("any")
        self._page.locator("#login_submit").click()
        address = re.compile(f"/user/{self._name}/lab")
        self._page.wait_for_url(address)
        self._page.locator("#jp-MainMenu").wait_for()

    def open_menu(self) -> None:
        self._page.locator("#jp-MainMenu").get_by_text("Nbgrader", exact=True).click()
        expect(self.menu.first).to_be_visible()

    def open_panel(self, name: str) -> None:
        self.open_menu()
        self.menu.get_by_text(name, exact=True).click()

    # -- assignment list --------------------------------------------------------------------------

    def listed(self, state: str) -> Locator:
        """What the assignment list has under released, fetched or submitted."""
        return self._page.locator(f"#{state}_assignments_list > .list_item")

    def refresh_list(self) -> None:
        self._page.locator("#refresh_assignments_list").click()

    def press(self, state: str, button: str) -> None:
        self.listed(state).get_by_role("button", name=button).click()

    def read_feedback(self, notebook: str) -> FrameLocator:
        """Follow the list to the feedback's folder, open the page there and return it."""
        self.listed("submitted").get_by_text("(view feedback)").click()
        page = f"{notebook}.html"
        self._page.locator(".jp-DirListing-item").get_by_text(page, exact=True).dblclick()
        tab = self._page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-current")
        expect(tab).to_contain_text(page)
        return self._page.frame_locator(".jp-HTMLViewer:not(.lm-mod-hidden) iframe")

    # -- formgrader -------------------------------------------------------------------------------

    @property
    def formgrader(self) -> FrameLocator:
        return self._page.frame_locator("iframe[src*='formgrader']")

    def row(self, words: str) -> Locator:
        return self.formgrader.locator("tr").filter(has_text=words)

    def do(self, row: str, what: str) -> str:
        """Click a row's button, wait for nbgrader's dialog, close it and return what it said."""
        self.row(row).locator(f"td.{what} a").click()
        dialog = self.formgrader.locator(".modal.in")
        expect(dialog).to_have_count(1)
        said = dialog.inner_text()
        self.take_picture(f"dialog-{what}")
        dialog.get_by_role("button", name="OK").click()
        expect(dialog).to_have_count(0)
        return said
