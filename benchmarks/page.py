"""How the HTML page of a ten-hour transcript opens and scrolls in a real browser.

Run: python -m benchmarks.page [--hours 10] [--keep FILE]
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from longform.audio import SAMPLE_RATE_HZ
from longform.params import TranscribeParams
from longform.transcript.formats import FORMATS
from longform.transcript.formats.rendering import Rendering
from longform.transcript.output import Provenance, TranscribeOutput, to_output
from longform.transcript.page_material import PEAK_SAMPLES, PageMaterial
from longform.transcript.segment import Interval, Segment, Word

WORDS_PER_HOUR = 10_000
WORDS_PER_SEGMENT = 12
VOCABULARY = ("time", "person", "year", "way", "day", "thing", "man", "world", "life", "remember")

# Frames while the page is scrolled by its whole length; each must come before the next refresh.
_SCROLL = """
async () => {
  const times = [];
  const end = document.documentElement.scrollHeight;
  let last = performance.now();
  for (let step = 0; step <= 300; step += 1) {
    window.scrollTo(0, (end * step) / 300);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  return times.sort((a, b) => a - b);
}
"""


def long_transcript(hours: float) -> TranscribeOutput:
    """Return a transcript of made-up words as long as that."""
    num_words = int(hours * WORDS_PER_HOUR)
    word_samples = int(hours * 3_600 * SAMPLE_RATE_HZ) // num_words
    segments = []
    for first in range(0, num_words, WORDS_PER_SEGMENT):
        words = tuple(
            Word(
                start_sample=number * word_samples,
                end_sample=(number + 1) * word_samples,
                text=f" {VOCABULARY[number * 7919 % len(VOCABULARY)]}",
                probability=0.3 + 0.7 * (number * 31 % 97) / 97,
            )
            for number in range(first, min(first + WORDS_PER_SEGMENT, num_words))
        )
        segments.append(
            Segment(
                start_sample=words[0].start_sample,
                end_sample=words[-1].end_sample,
                text="".join(word.text for word in words),
                language="en",
                words=words,
            )
        )
    num_samples = num_words * word_samples
    chunk = 300 * SAMPLE_RATE_HZ
    return to_output(
        segments=segments,
        coverage=(Interval(start_sample=0, end_sample=num_samples, kind="speech"),),
        num_samples=num_samples,
        processing_duration_sec=1.0,
        task="transcribe",
        provenance=Provenance(
            source_name="ten-hours.mp3",
            source_fingerprint="0",
            source_address="ten-hours.mp3",
            parameters=TranscribeParams(),
            model="base",
            model_sha256=None,
            engine="made up",
            versions={},
            access="sequential",
        ),
        page=PageMaterial(
            peaks=bytes(40 + n * 37 % 180 for n in range(num_samples // PEAK_SAMPLES)),
            macro_starts=tuple(range(0, num_samples, chunk)),
            micro_starts=tuple(range(0, num_samples, chunk // 11)),
        ),
    )


def measure(page: Page, file: Path) -> list[tuple[str, str]]:
    """Open the page, search in it and scroll through it; return what each took."""
    began = time.perf_counter()
    page.goto(file.as_uri())
    page.locator("#s0 .word").first.wait_for()
    opened_sec = time.perf_counter() - began
    search_ms = page.evaluate(
        "() => { const t = performance.now(); document.getElementById('search').value = 'remember';"
        " document.getElementById('search').dispatchEvent(new Event('input'));"
        " return performance.now() - t; }"
    )
    matches = page.locator("#matches").inner_text()
    frames = page.evaluate(_SCROLL)
    seek_ms = page.evaluate(
        "() => { const t = performance.now();"
        " document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));"
        " return performance.now() - t; }"
    )
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    return [
        ("size", f"{file.stat().st_size / 1e6:.1f} MB"),
        ("opened, with words to click", f"{opened_sec:.2f} s"),
        ("first search", f"{search_ms:.0f} ms, {matches}"),
        ("frame while scrolling, median", f"{frames[len(frames) // 2]:.0f} ms"),
        ("frame while scrolling, 95 %", f"{frames[int(len(frames) * 0.95)]:.0f} ms"),
        ("one key", f"{seek_ms:.0f} ms"),
        ("memory of the script", f"{heap / 1e6:.0f} MB"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, help="keep the page under this name")
    arguments = parser.parse_args()
    began = time.perf_counter()
    document = FORMATS["html"].render(Rendering(long_transcript(arguments.hours)))
    rows = [("rendered in", f"{time.perf_counter() - began:.1f} s")]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(document)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        rows += measure(page, file)
        browser.close()
        if arguments.keep:
            shutil.copy(file, arguments.keep)
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
