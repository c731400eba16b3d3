"""Whose voice a segment is: its speaker where one is known, else its channel."""

from longform.transcript.output import OutputSegment


def voice(segment: OutputSegment) -> str:
    """Return the label for people, as "SPEAKER_00" or "channel 1"; "" where none is known."""
    if segment.speaker is not None:
        return segment.speaker
    return "" if segment.channel is None else f"channel {segment.channel}"


def prefixed(segment: OutputSegment) -> str:
    """Return a segment's text in one line, after whose it is where that is known."""
    text = " ".join(segment.text.split())
    name = voice(segment)
    return f"[{name}]: {text}" if name and text else text
