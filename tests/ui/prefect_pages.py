"""The pages of the real Prefect UI that a user of longform looks at, and what they must show."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Locator, Page, expect

TIMEOUT_MS = 120_000  # generous: the machine may be busy
WIDTH, HEIGHT = 1280, 900


@dataclass
class PrefectPages:
    """The UI at one address, in one window."""

    page: Page
    ui_url: str

    def flow_run(self, run_id: str, name: str, state: str = "Completed") -> None:
        """Open a flow run and wait until its name and state are there."""
        self._open(f"runs/flow-run/{run_id}")
        expect(self.page.get_by_text(name, exact=True).first).to_be_visible()
        expect(self.page.get_by_text(state, exact=True).first).to_be_visible()

    def tab(self, name: str) -> None:
        """Choose a tab of the page that is open."""
        self.page.get_by_role("tablist").get_by_text(name, exact=True).click()

    def artifact(self, key: str) -> None:
        """Open an artifact of the run that is open, as people do: its address alone shows none."""
        self.tab("Artifacts")
        self.page.get_by_text(key, exact=True).click()

    def form(self, deployment_id: str) -> None:
        """Open the form that starts a run of a deployment."""
        self._open(f"deployments/deployment/{deployment_id}/run")
        expect(self.page.get_by_text("Parameters", exact=True).first).to_be_visible()

    def text(self, pattern: str) -> Locator:
        """Return the first text on the page that matches."""
        return self.page.get_by_text(re.compile(pattern)).first

    def _open(self, path: str) -> None:
        self.page.goto(f"{self.ui_url}/{path}", wait_until="domcontentloaded")


@contextmanager
def prefect_pages(browser: Browser, ui_url: str) -> Iterator[PrefectPages]:
    """Open a window on the UI that may ask nobody else."""
    expect.set_options(timeout=TIMEOUT_MS)
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.route(lambda url: not url.startswith(ui_url), lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    try:
        yield PrefectPages(page, ui_url)
    finally:
        context.close()
