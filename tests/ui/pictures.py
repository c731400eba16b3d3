"""The pictures of the Prefect UI in the documentation: `make pictures`.

A server of its own, the real model, the bundled recording, the real UI. FOLDER is where all of it
happens; its path is in the pictures.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from infra.server import ensure_server, stop_server
from tests.conftest import REPO_ROOT
from tests.ui.conftest import Scene, make_scene
from tests.ui.prefect_pages import PrefectPages, prefect_pages

TARGET = REPO_ROOT / "docs" / "img"
COLOURS = 128  # enough for the UI, and a third of the bytes
SETTLE_MS = 3_000  # charts and lists are drawn in steps


def flow_run(pages: PrefectPages, scene: Scene) -> None:
    """A run with its subflows."""
    pages.flow_run(scene.run_id, "transcribe welcome.flac")
    pages.tab("Subflow Runs")
    expect(pages.text(r"^welcome\.flac 0:00:00")).to_be_visible()


def summary(pages: PrefectPages, scene: Scene) -> None:
    """The summary of a run."""
    pages.flow_run(scene.run_id, "transcribe welcome.flac")
    pages.artifact("transcription-summary")
    expect(pages.text("x real time")).to_be_visible()


def form(pages: PrefectPages, scene: Scene) -> None:
    """The form of a deployment."""
    pages.form(scene.deployment_id("transcribe/local"))
    expect(pages.text("Recording: http")).to_be_visible()


PICTURES: dict[str, Callable[[PrefectPages, Scene], None]] = {
    "flow-run": flow_run,
    "summary": summary,
    "form": form,
}


def main(folder: Path) -> None:
    """Take every picture anew."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ensure_server(folder / "home")
    try:
        scene = make_scene(server, folder)
        binary = shutil.which("chromium") or "chromium-browser"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
            for name, show in PICTURES.items():
                with prefect_pages(browser, server.ui_url) as pages:
                    show(pages, scene)
                    pages.page.wait_for_timeout(SETTLE_MS)
                    save(pages, TARGET / f"{name}.png")
            browser.close()
    finally:
        stop_server(folder / "home")


def save(pages: PrefectPages, path: Path) -> None:
    """Keep what the window shows, with few colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pages.page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path.relative_to(REPO_ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
