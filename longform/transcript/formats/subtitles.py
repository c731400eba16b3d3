"""What SRT and VTT share: cues in whole milliseconds, written by pysubs2."""

from collections.abc import Callable, Iterable, Iterator

from longform.transcript.cues import Cue, to_cues
from longform.transcript.formats.milliseconds import samples_to_ms
from longform.transcript.output import TranscribeOutput

# pysubs2 holds text in SubStation syntax, where a backslash starts a tag: `\N` would become a
# line end, and a line with `{\p1}` a drawing that is left out. So it is kept from seeing any.
_NO_BACKSLASH = "\x01"
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)))


def render_subtitles(output: TranscribeOutput, format_: str, escape: Callable[[str], str]) -> str:
    """Return a transcript as one of pysubs2's formats; `escape` makes a line of text safe in it."""
    from pysubs2 import SSAEvent, SSAFile

    file = SSAFile()
    for start_ms, end_ms, cue in timed_in_ms(to_cues(output.segments)):
        lines = (escape(line.translate(_CONTROLS)) for line in cue.lines)
        text = "\n".join(line for line in lines if line.strip())
        if text:
            guarded = text.replace("\\", _NO_BACKSLASH)
            file.append(SSAEvent(start=start_ms, end=end_ms, text=guarded))
    rendered: str = file.to_string(format_, keep_ssa_tags=True)
    return rendered.replace(_NO_BACKSLASH, "\\")


def timed_in_ms(cues: Iterable[Cue]) -> Iterator[tuple[int, int, Cue]]:
    """Yield start and end of each cue: in order, never overlapping, at least 1 ms long."""
    earliest = 0
    for cue in cues:
        start = max(samples_to_ms(cue.start_sample), earliest)
        end = max(samples_to_ms(cue.end_sample), start + 1)
        yield start, end, cue
        earliest = end
