"""A real browser, and pages that it opens from disk."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import TranscribeOutput

AXE_VERSION = "4.10.3"
TIMEOUT_MS = 30_000  # generous: the machine may be busy


@dataclass
class Opened:
    """A page in the browser, and everything it complained about or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium, or skip with the reason.

    Not for longer than its module: while Playwright runs, the thread has a running event loop,
    and tests of others cannot start theirs.
    """
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe_script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return axe-core, fetched from npm, or skip with the reason."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        [npm, "pack", "--silent", f"axe-core@{AXE_VERSION}"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if packed.returncode != 0:
        pytest.skip(f"axe-core cannot be fetched: {packed.stderr.strip()[:200]}")
    shutil.unpack_archive(folder / f"axe-core-{AXE_VERSION}.tgz", folder)
    return (folder / "package" / "axe.min.js").read_text()


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> Iterator["OpenPage"]:
    """Return what writes a transcript as a page and opens it from `file://`."""
    opener = OpenPage(chromium, tmp_path)
    yield opener
    opener.close()


class OpenPage:
    """Opens transcripts in browser windows of their own."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self._contexts: list[BrowserContext] = []

    def __call__(
        self, output: TranscribeOutput, *, width: int = 1280, dark: bool = False, query: str = ""
    ) -> Opened:
        file = self._folder / "page.html"
        own = output.model_copy(update={"files": (str(file),)})
        file.write_text(FORMATS["html"].render(Rendering(own)), encoding="utf-8")
        context = self._browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        opened = Opened(page)
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("dialog", lambda dialog: opened.complaints.append(f"dialog {dialog.message}"))
        page.goto(f"{file.as_uri()}{query}")
        return opened

    def close(self) -> None:
        """Close every window."""
        for context in self._contexts:
            context.close()
