"""The real Prefect UI in a real browser shows what users are told they will find there."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.conftest import Scene
from tests.ui.prefect_pages import PrefectPages, prefect_pages

pytestmark = [pytest.mark.server, pytest.mark.browser]

RUN = "transcribe welcome.flac"


@pytest.fixture
def pages(scene: Scene, chromium: Browser) -> Iterator[PrefectPages]:
    """Open a window on the UI of the server."""
    with prefect_pages(chromium, scene.server.ui_url) as pages:
        yield pages


def test_a_run_shows_its_state_and_its_subflows(pages: PrefectPages, scene: Scene) -> None:
    """The page of a run has its name and state; its subflows are the macro chunks by their time."""
    pages.flow_run(scene.run_id, RUN)
    pages.tab("Subflow Runs")
    expect(pages.text(r"^3 Flow runs$")).to_be_visible()
    expect(pages.text(r"^welcome\.flac 0:00:00-")).to_be_visible()
    expect(pages.text(r"^welcome\.flac .*-0:02:15$")).to_be_visible()


def test_a_run_shows_its_artifacts(pages: PrefectPages, scene: Scene) -> None:
    """Progress and summary are among its artifacts, and the progress is at its end."""
    pages.flow_run(scene.run_id, RUN)
    pages.tab("Artifacts")
    expect(pages.text("transcription-summary")).to_be_visible()
    expect(pages.text("transcription-progress")).to_be_visible()


def test_the_summary_is_rendered(pages: PrefectPages, scene: Scene) -> None:
    """Markdown comes as headings and tables, with no sign of its source left."""
    pages.flow_run(scene.run_id, RUN)
    pages.artifact("transcription-summary")
    expect(pages.page.get_by_role("heading", name="welcome.flac")).to_be_visible()
    table = pages.page.get_by_role("table").filter(has_text="Speedup")
    expect(table).to_contain_text("x real time")
    assert "| --- |" not in pages.page.inner_text("main, body")


@pytest.mark.parametrize(
    ("deployment", "described"),
    [
        ("transcribe/local", ("Recording: http", "Voice activity detection", "in seconds")),
        ("reprocess/nightly", ("Which of them: without a transcript", "Podcast feed")),
    ],
)
def test_the_form_says_what_to_give(
    pages: PrefectPages, scene: Scene, deployment: str, described: tuple[str, ...]
) -> None:
    """The form of a deployment shows the descriptions of its parameters, nested ones too."""
    pages.form(scene.deployment_id(deployment))
    for text in described:
        expect(pages.text(text)).to_be_visible()
