"""How a micro chunk and what was heard in it travel between `remote_engine` and `serve-model`.

An upload to OpenAI's API says what to transcribe, but not where the audio lies, where speech
was found in it, or how to decode it. One more form field says that, so that the text is the
one which the same model would give in the process that cut the chunk.
"""

import io
import wave

import numpy as np
from pydantic import Field

from longform.audio import PCM_BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Pcm, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import InvariantError, NotMediaError
from longform.params import FrozenModel
from longform.speech.engine import DecodeOptions, MicroResult

CHUNK_FIELD = "longform_chunk"  # of the form: a `ChunkMetadata` as JSON
ANSWER_FIELD = "longform"  # of the response: a `ChunkAnswer`
MAX_CHUNK_SAMPLES = 30 * SAMPLE_RATE_HZ  # Whisper's window
MAX_CHUNK_BYTES = MAX_CHUNK_SAMPLES * PCM_BYTES_PER_SAMPLE + 4_096  # and the head of a WAV file


class ChunkMetadata(FrozenModel):
    """What there is to know of a micro chunk beside its audio; positions on the timeline."""

    start_sample: int = Field(ge=0)
    speech: tuple[tuple[int, int], ...]
    options: DecodeOptions


class ChunkAnswer(FrozenModel):
    """What became of a micro chunk, in samples on the recording's timeline.

    `votes` is what the window itself says about its language (code: probability), so that the
    stream to which it belongs can decide; empty where a language was given.
    """

    result: MicroResult
    votes: dict[str, float] = Field(default_factory=dict)


def note_of(chunk: MicroChunk, options: DecodeOptions) -> ChunkMetadata:
    """Return the note that goes with a chunk."""
    speech = tuple((span.start_sample, span.end_sample) for span in chunk.speech)
    return ChunkMetadata(start_sample=chunk.span.start_sample, speech=speech, options=options)


def chunk_of(note: ChunkMetadata, pcm: Pcm) -> MicroChunk:
    """Return the chunk that a note and its audio describe.

    Raises:
        NotMediaError: it is no micro chunk: empty, too long, or speech outside of it.
    """
    if not 0 < len(pcm) <= MAX_CHUNK_SAMPLES:
        raise NotMediaError(f"a micro chunk has 1 to {MAX_CHUNK_SAMPLES} samples, not {len(pcm)}")
    span = Span(note.start_sample, note.start_sample + len(pcm))
    try:
        speech = tuple(Span(start, end) for start, end in note.speech)
    except InvariantError as error:
        raise NotMediaError(f"the speech of this micro chunk is {error}") from error
    if any(not _inside(part, span) for part in speech):
        raise NotMediaError("the speech of this micro chunk lies outside of its audio")
    return MicroChunk(span, pcm, speech)


def _inside(part: Span, whole: Span) -> bool:
    return whole.start_sample <= part.start_sample and part.end_sample <= whole.end_sample


def to_wav(pcm: Pcm) -> bytes:
    """Return audio, int16 (n,) at 16 kHz, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(PCM_BYTES_PER_SAMPLE)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(pcm.astype("<i2", copy=False).tobytes())
    return file.getvalue()


def from_wav(content: bytes) -> Pcm:
    """Return the samples of a WAV file of 16-bit mono at 16 kHz, int16 (n,).

    Raises:
        NotMediaError: it is something else.
    """
    try:
        with wave.open(io.BytesIO(content)) as reader:
            kind = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate())
            frames = reader.readframes(MAX_CHUNK_SAMPLES + 1)
    except (wave.Error, EOFError, ValueError) as error:
        raise NotMediaError(f"a micro chunk must be a WAV file: {error}") from error
    if kind != (1, PCM_BYTES_PER_SAMPLE, SAMPLE_RATE_HZ) or len(frames) % PCM_BYTES_PER_SAMPLE:
        raise NotMediaError("a micro chunk must be 16-bit mono at 16 kHz")
    return np.frombuffer(frames, dtype="<i2").astype(np.int16)
