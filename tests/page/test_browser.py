"""The page in a real browser, opened from disk as a reader would."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page

from longform.audio import SAMPLE_RATE_HZ
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.segment import Interval
from tests.page.conftest import TIMEOUT_MS, Opened, OpenPage
from tests.page.page_recordings import heard, spoken, transcript

pytestmark = pytest.mark.browser

TEXTS = [
    "The quick brown fox jumps over the lazy dog unsure",
    "Résumé of a café: twelve naïve words end this line here",
    "Nothing else is said before the tape runs out today maybe",
    "The fox again",
]
SECOND = SAMPLE_RATE_HZ


def until(page: Page, expression: str) -> None:
    """Wait for something to become true. Playwright's own wait needs `eval`, which is forbidden."""
    deadline = time.monotonic() + TIMEOUT_MS / 1_000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(20)


def ready(opened: Opened) -> Page:
    """Wait until the recording can be played."""
    until(opened.page, "document.getElementById('media').readyState >= 1")
    return opened.page


def position(page: Page) -> float:
    """Return the player's position in seconds."""
    return float(page.evaluate("document.getElementById('media').currentTime"))


def wait_for_position(page: Page, seconds: float) -> None:
    """Wait until the player stands at a position."""
    until(page, f"Math.abs(document.getElementById('media').currentTime - {seconds}) < 0.02")


def test_it_opens_quietly(open_page: OpenPage) -> None:
    """The page opens with no console message and no request but for the file itself."""
    opened = open_page(heard(spoken(TEXTS)))
    page = ready(opened)
    page.keyboard.press("j")
    outside = [url for url in opened.requests[1:] if not url.startswith("blob:")]
    assert opened.complaints == []
    assert outside == []
    assert page.title() == "talk.wav – transcript"


def test_the_highlight_follows_the_sound(open_page: OpenPage) -> None:
    """While the recording plays, the word that sounds is the one that is marked."""
    page = ready(open_page(heard(spoken(TEXTS))))
    page.keyboard.press("Space")
    until(page, "document.getElementById('media').currentTime > 1.2")
    page.keyboard.press("Space")
    until(page, "document.getElementById('media').paused")
    words = " ".join(TEXTS).split()
    expected = words[int(position(page) / 0.5)]
    page.wait_for_selector(f".word.now:text-is('{expected}')")
    assert page.locator(".word.now").count() == 1
    assert page.locator(".segment.current").count() == 1


def test_clicks_seek(open_page: OpenPage) -> None:
    """A click on a word, on a time, on the waveform or on a doubtful passage goes there."""
    page = ready(open_page(heard(spoken(TEXTS))))
    page.locator(".word", has_text="jumps").click()
    wait_for_position(page, 2.0)
    page.locator("#s1 .time").click()
    until(page, "document.getElementById('media').currentTime >= 5")
    page.evaluate("document.getElementById('media').pause()")
    box = page.locator("#overview").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    middle = len(" ".join(TEXTS).split()) * 0.5 / 2
    until(page, f"Math.abs(document.getElementById('media').currentTime - {middle}) < 0.1")
    page.locator("[data-segment='2']").click()
    wait_for_position(page, 10.5)


def test_keys_seek_and_step(open_page: OpenPage) -> None:
    """Arrows move by five seconds, J and K by segments, U to the next unsure word."""
    page = ready(open_page(heard(spoken(TEXTS))))
    for key, seconds in (("ArrowRight", 5), ("ArrowLeft", 0), ("j", 5), ("j", 10.5), ("k", 5)):
        page.keyboard.press(key)
        wait_for_position(page, seconds)
    page.keyboard.press("u")
    wait_for_position(page, 9.5)
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.locator("#overview").focus()
    page.keyboard.press("Home")
    wait_for_position(page, 0)
    assert page.locator("#overview").get_attribute("aria-valuetext") == "0:00 of 0:17"


def test_search_finds_and_marks(open_page: OpenPage) -> None:
    """Search ignores case and accents, marks every match, and goes round through them."""
    page = open_page(transcript(spoken(TEXTS))).page
    page.keyboard.press("/")
    page.keyboard.type("FOX")
    assert page.locator("#matches").inner_text() == "1 of 2"
    assert page.locator(".word.match").all_inner_texts() == ["fox", "fox"]
    page.keyboard.press("Enter")
    assert page.locator("#matches").inner_text() == "2 of 2"
    assert page.locator("#s3 .word.chosen").inner_text() == "fox"
    page.keyboard.press("Enter")
    assert page.locator("#matches").inner_text() == "1 of 2"
    page.locator("#search").fill("resume of a cafe")
    assert page.locator(".word.match").all_inner_texts() == ["Résumé", "of", "a", "café:"]
    page.locator("#search").fill("zebra")
    assert page.locator("#matches").inner_text() == "no match"
    page.keyboard.press("Escape")
    assert page.locator(".word.match").count() == 0


def test_the_threshold_marks_words(open_page: OpenPage) -> None:
    """Words below the threshold are underlined as well as coloured, and say how sure they are."""
    page = open_page(transcript(spoken(TEXTS))).page
    page.wait_for_selector("#s2 .word")
    low = page.locator(".word.low")
    assert low.all_inner_texts() == ["unsure", "line", "today"]
    assert "underline" in str(low.first.evaluate("e => getComputedStyle(e).textDecorationLine"))
    assert low.first.get_attribute("title") == "20 % sure"
    page.locator("#threshold").fill("100")
    assert low.count() == len(" ".join(TEXTS).split())
    page.locator("#threshold").fill("10")
    assert low.count() == 0


def test_downloads_are_the_files(open_page: OpenPage, tmp_path: Path) -> None:
    """What is saved from the page is, byte for byte, what the other formats would be."""
    output = transcript(spoken(TEXTS))
    own = output.model_copy(update={"files": (str(tmp_path / "page.html"),)})
    page = open_page(output).page
    for name in ("srt", "vtt", "txt", "json"):
        with page.expect_download() as waiting:
            page.locator(f"[data-file={name}]").click()
        saved = waiting.value
        assert saved.suggested_filename == f"talk.{name}"
        assert Path(saved.path()).read_text() == FORMATS[name].render(Rendering(own))


def test_hostile_text_is_harmless(open_page: OpenPage) -> None:
    """Markup, script ends, bidi and control characters are shown, run nothing, and stay inside."""
    hostile = [
        "<script>alert(1)</script> <img src=x onerror=alert(2)> </script>",
        "\u202eright to left override \u2066isolate never closed",
        "\U0001f600 emoji {{ 7 * 7 }} {% raw %} \x00nul &amp; ${1}",
        "plain ending",
    ]
    opened = open_page(transcript(spoken(hostile), name='"><script>alert(3)</script>\u202egpj.wav'))
    page = opened.page
    page.wait_for_selector("#s3 .word")
    assert opened.complaints == []
    shown = page.locator("#transcript p").all_inner_texts()
    assert shown[0] == hostile[0]
    assert shown[2] == hostile[2].replace("\x00", "\ufffd")
    assert page.locator("#s2 .word").all_inner_texts()[1] == "emoji"
    assert page.locator("#transcript script, #transcript img").count() == 0
    isolation = page.locator("#s1 p").evaluate("e => getComputedStyle(e).unicodeBidi")
    assert isolation == "isolate"


def test_gaps_and_voices_are_said(open_page: OpenPage) -> None:
    """Damaged, failed and long silent stretches are lines of the text; channels have names."""
    left = [segment.model_copy(update={"channel": 1}) for segment in spoken(TEXTS[:1])]
    right = [segment.model_copy(update={"channel": 2}) for segment in spoken(TEXTS[1:2], 5)]
    arabic = spoken(["مرحبا بالعالم"], 60, "ar")
    edges = (
        (0, 11, "speech", ""),
        (11, 30, "non_speech", ""),
        (30, 40, "failed", "the worker died"),
        (40, 60, "damaged", "12 packets could not be decoded"),
        (60, 61, "speech", ""),
    )
    coverage = [
        Interval(start_sample=a * SECOND, end_sample=b * SECOND, kind=kind, detail=detail)
        for a, b, kind, detail in edges
    ]
    page = open_page(transcript([*left, *right, *arabic], coverage=coverage)).page
    rows = page.locator(".gap").all_inner_texts()
    assert rows == [
        "0:11–0:30 no speech",
        "0:30–0:40 failed: the worker died",
        "0:40–1:00 damaged in the recording: 12 packets could not be decoded",
    ]
    assert page.locator(".who").all_inner_texts() == ["Channel 1", "Channel 2"]
    assert page.locator("#s2 p").evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert page.locator("#s2 .tag").inner_text() == "arabic"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_accessible(open_page: OpenPage, axe_script: str, width: int, dark: bool) -> None:
    """axe-core finds no violation of WCAG A and AA, wide and narrow, light and dark."""
    edges = [Interval(start_sample=0, end_sample=17 * SECOND, kind="speech")]
    edges.append(Interval(start_sample=17 * SECOND, end_sample=20 * SECOND, kind="failed"))
    page = ready(open_page(heard(spoken(TEXTS), coverage=edges), width=width, dark=dark))
    page.keyboard.press("j")
    page.keyboard.press("/")
    page.keyboard.type("fox")
    page.wait_for_selector(".word.low")
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    # The page's own policy forbids scripts from outside, so it runs in the browser's own world.
    page.evaluate(axe_script)
    report = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
    )
    found = [
        (one["id"], [node["html"][:120] for node in one["nodes"]]) for one in report["violations"]
    ]
    assert found == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_print_shows_the_text_only(open_page: OpenPage) -> None:
    """On paper there is the text with its times, without player and buttons, black on white."""
    page = open_page(transcript(spoken(TEXTS)), dark=True).page
    page.emulate_media(media="print")
    assert not page.locator(".player").is_visible()
    assert page.locator("#s3 p").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 10_000


def test_without_the_recording_readers_may_choose_it(open_page: OpenPage, tmp_path: Path) -> None:
    """Where the recording is not inside, the page says so and plays a file that is chosen."""
    output = heard(spoken(TEXTS))
    page = open_page(output.model_copy(update={"page": transcript(spoken(TEXTS)).page})).page
    assert page.locator("#no-media").is_visible()
    file = tmp_path / "talk.wav"
    file.write_bytes(output.page.media.content)
    page.locator("#choose").set_input_files(file)
    page.wait_for_selector("#no-media", state="hidden")
    page.keyboard.press("j")
    wait_for_position(page, 5)


def test_a_linked_recording_is_played_from_beside_the_page(
    open_page: OpenPage, tmp_path: Path
) -> None:
    """A recording too large to embed is linked by a path relative to the page, and plays."""
    output = heard(spoken(TEXTS))
    file = tmp_path / "a folder" / "talk 100%.wav"
    file.parent.mkdir()
    file.write_bytes(output.page.media.content)
    linked = output.page.media.model_copy(update={"content": b"", "href": str(file)})
    opened = open_page(
        output.model_copy(update={"page": output.page.model_copy(update={"media": linked})}),
        query="#t=5",
    )
    page = ready(opened)
    assert page.locator("#media").get_attribute("src") == "a%20folder/talk%20100%25.wav"
    wait_for_position(page, 5)
    assert opened.complaints == []
