"""What SRT and VTT share: cues in whole milliseconds, written by pysubs2."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from longform.transcript.cues import Cue, CueWord
from longform.transcript.formats.milliseconds import samples_to_ms
from longform.transcript.formats.rendering import Rendering

# pysubs2 holds text in SubStation syntax, where a backslash starts a tag: `\N` would become a
# line end, and a line with `{\p1}` a drawing that is left out. So it is kept from seeing any.
_NO_BACKSLASH = "\x01"
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)))


@dataclass(frozen=True, slots=True)
class Markup:
    """What differs between the formats: `escape` makes text safe, `name` says whose it is."""

    escape: Callable[[str], str]
    name: Callable[[str, str], str]  # (voice, cue text) -> cue text


def render_subtitles(rendering: Rendering, format_: str, markup: Markup) -> str:
    """Return a transcript as one of pysubs2's formats, laid out as its parameters say."""
    from pysubs2 import SSAEvent, SSAFile

    layout = rendering.output.provenance.parameters.subtitles
    file = SSAFile()
    for frame in timed_in_ms(rendering.cues, highlight=layout.highlight_words):
        text = _text(frame, markup)
        if text:
            guarded = text.replace("\\", _NO_BACKSLASH)
            file.append(SSAEvent(start=frame.start_ms, end=frame.end_ms, text=guarded))
    rendered: str = file.to_string(format_, keep_ssa_tags=True)
    return rendered.replace(_NO_BACKSLASH, "\\")


@dataclass(frozen=True, slots=True)
class Frame:
    """A cue, or the part of it in which one of its words is underlined."""

    start_ms: int
    end_ms: int
    cue: Cue
    word: CueWord | None = None


def timed_in_ms(cues: Iterable[Cue], *, highlight: bool = False) -> Iterator[Frame]:
    """Yield frames by start, at least 1 ms long; those of one channel do not overlap."""
    earliest: dict[int | None, int] = {}
    for cue in cues:
        start = max(samples_to_ms(cue.start_sample), earliest.get(cue.channel, 0))
        end = max(samples_to_ms(cue.end_sample), start + 1)
        frames = _highlighted(Frame(start, end, cue)) if highlight else [Frame(start, end, cue)]
        yield from frames
        earliest[cue.channel] = end


def _highlighted(whole: Frame) -> Iterator[Frame]:
    """Cut a cue's time at its words; between them it stands without an underline."""
    position = whole.start_ms
    for word in whole.cue.words:
        start, end = (
            min(max(samples_to_ms(sample), position), whole.end_ms)
            for sample in (word.start_sample, word.end_sample)
        )
        if position < start:
            yield Frame(position, start, whole.cue)
        if start < end:
            yield Frame(start, end, whole.cue, word)
        position = max(position, end)
    if position < whole.end_ms:
        yield Frame(position, whole.end_ms, whole.cue)


def _text(frame: Frame, markup: Markup) -> str:
    lines = (
        _line(line, frame.word if frame.word and frame.word.line == number else None, markup)
        for number, line in enumerate(frame.cue.lines)
    )
    text = "\n".join(line for line in lines if line.strip())
    return markup.name(frame.cue.voice, text) if text and frame.cue.voice else text


def _line(line: str, word: CueWord | None, markup: Markup) -> str:
    def shown(text: str) -> str:
        return markup.escape(text.translate(_CONTROLS))

    if word is None or not shown(line[word.start : word.end]).strip():
        return shown(line)
    before, spoken, after = line[: word.start], line[word.start : word.end], line[word.end :]
    return f"{shown(before)}<u>{shown(spoken)}</u>{shown(after)}"
