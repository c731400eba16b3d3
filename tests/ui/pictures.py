"""The pictures of the Prefect UI in the documentation: `make pictures`.

A server of its own, the real model, the bundled recording, the real UI. FOLDER is where all of it
happens; its path is in the pictures.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from cli.exit_codes import INCOMPLETE
from infra.prefect_server import ensure_server, stop_server
from longform.media.decode.ffmpeg_args import find_ffmpeg
from tests.conftest import REPO_ROOT, WELCOME
from tests.ui.conftest import Scene, Shell, make_scene
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


def report(pages: PrefectPages, scene: Scene) -> None:
    """The report of a bulk run."""
    pages.flow_run(scene.run_id, "reprocess missing", "CompletedWithFailures")
    pages.artifact("reprocess-report")
    expect(pages.text("lecture-03")).to_be_visible()


PICTURES: dict[str, Callable[[PrefectPages, Scene], None]] = {
    "flow-run": flow_run,
    "summary": summary,
    "form": form,
}


def main(folder: Path) -> None:
    """Take every picture anew."""
    folder.mkdir(parents=True, exist_ok=True)
    server = ensure_server(folder / "home")
    shell = Shell(server, folder)
    try:
        scene = make_scene(shell)
        scenes = [(name, show, scene) for name, show in PICTURES.items()]
        take([*scenes, ("report", report, bulk_scene(shell))])
    finally:
        stop_server(folder / "home")


def bulk_scene(shell: Shell) -> Scene:
    """Transcribe some recordings, of which one is broken."""
    recordings = shell.folder / "recordings"
    recordings.mkdir(exist_ok=True)
    for number in range(1, 4):
        cut = ["-y", "-ss", str(20 * number), "-t", "20", "-i", WELCOME]
        path = recordings / f"lecture-{number:02}.flac"
        subprocess.run([find_ffmpeg(None), "-v", "error", *cut, path], check=True)
    (recordings / "lecture-04.flac").write_text("this is no recording\n")
    chosen = ("--glob", str(recordings / "*.flac"), "--json", "-q")
    printed = shell.run("reprocess", *chosen, exit_code=INCOMPLETE)
    return Scene(shell.server, json.loads(printed)["run_url"].rsplit("/", 1)[1])


def take(scenes: Sequence[tuple[str, Callable[[PrefectPages, Scene], None], Scene]]) -> None:
    """Show each scene in a window of its own and keep what it shows."""
    binary = shutil.which("chromium") or "chromium-browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        for name, show, scene in scenes:
            with prefect_pages(browser, scene.server.ui_url) as pages:
                show(pages, scene)
                pages.page.wait_for_timeout(SETTLE_MS)
                save(pages, TARGET / f"{name}.png")
        browser.close()


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
