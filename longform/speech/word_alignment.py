"""Where the words of a decoded window stand on the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from longform.audio import Span, to_samples
from longform.chunking.micro_chunk import MicroChunk
from longform.speech.encoded_windows import EncodedWindows
from longform.speech.features.protocol import NUM_FRAMES, SAMPLES_PER_FRAME
from longform.speech.segmentation import TimedWord, fit_to_speech

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

# Marks that belong to the word after or before them; Whisper's own lists.
_OPENING_MARKS = "\"'“¿([{-"
_CLOSING_MARKS = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001


def align_words(
    model: WhisperModel,
    encoded: EncodedWindows,
    indices: Sequence[int],
    tokenizer: Tokenizer,
    texts: Sequence[Sequence[int]],
    chunks: Sequence[MicroChunk],
) -> list[list[TimedWord]]:
    """Return the words of each text on the recording's timeline, punctuation attached.

    Cross-attention and dynamic time warping, as in Whisper's own word timestamps.

    Args:
        model: the loaded model.
        encoded: the windows.
        indices: which of them.
        tokenizer: of their common language and task.
        texts: the text tokens of each window.
        chunks: the micro chunk in each window; no word leaves its span.
    """
    from faster_whisper.transcribe import merge_punctuations

    def align(group: Sequence[int]) -> list[list[TimedWord]]:
        lengths = [-(-chunks[i].span.num_samples // SAMPLES_PER_FRAME) for i in group]
        aligned = model.find_alignment(
            tokenizer,
            [list(texts[i]) for i in group],
            encoded.select([indices[i] for i in group]),
            [min(length, NUM_FRAMES) for length in lengths],
        )
        for found in aligned:
            merge_punctuations(found, _OPENING_MARKS, _CLOSING_MARKS)
        return [
            [_timed_word(word, chunks[i]) for word in found if word["word"]]
            for i, found in zip(group, aligned, strict=True)
        ]

    return encoded.one_pass(align, range(len(indices)))


def _timed_word(word: dict[str, Any], chunk: MicroChunk) -> TimedWord:
    start, end = (
        min(to_samples(float(word[edge])), chunk.span.num_samples) + chunk.span.start_sample
        for edge in ("start", "end")
    )
    span = fit_to_speech(Span(start, max(start, end)), chunk.speech)
    return TimedWord(word["word"], tuple(word["tokens"]), span, float(word["probability"]))
