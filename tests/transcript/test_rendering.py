"""What several formats need of a transcript is made once."""

import pytest

from longform.transcript.formats import FORMATS, rendering
from longform.transcript.formats.rendering import Rendering
from longform.transcript.segment import Word
from tests.support.transcripts import output_of, segment_of


def test_subtitles_are_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """SRT, VTT and the page, which holds both, show the same cues."""
    lay_out, layouts = rendering.to_cues, list[int]()
    monkeypatch.setattr(rendering, "to_cues", lambda *given: layouts.append(1) or lay_out(*given))
    transcript = Rendering(output_of([segment_of(" One two.", 0, 2)]))
    for form in FORMATS.values():
        transcript.file(form)
    assert layouts == [1]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_the_same_however_it_is_made(name: str) -> None:
    """A format says the same alone as after all others."""
    output = output_of([segment_of(" One two.", 0, 2), segment_of(" Three.", 2, 3)])
    transcript = Rendering(output)
    for form in FORMATS.values():
        transcript.file(form)
    assert transcript.file(FORMATS[name]) == FORMATS[name].render(Rendering(output))


def test_a_word_is_small() -> None:
    """Words have no dictionary of their own: a day of speech has a quarter of a million."""
    assert not hasattr(Word(start_sample=0, end_sample=1, text="so"), "__dict__")
