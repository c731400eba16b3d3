"""What travels with a micro chunk arrives as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from longform.audio import Pcm, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import NotMediaError
from longform.speech.engine import DecodeOptions, MicroResult
from longform.speech.remote.chunk_protocol import (
    MAX_CHUNK_SAMPLES,
    ChunkAnswer,
    ChunkMetadata,
    chunk_of,
    from_wav,
    note_of,
    to_wav,
)
from longform.transcript.segment import Segment, Word

samples = arrays.arrays(np.int16, st.integers(1, 2_000))


@given(samples, st.integers(0, 10**9), st.data())
def test_a_chunk_arrives_as_it_was(pcm: Pcm, start: int, data: st.DataObject) -> None:
    """Audio, place and speech are the same on the other side."""
    edges = data.draw(st.lists(st.integers(0, len(pcm)), max_size=6).map(sorted))
    speech = tuple(
        Span(start + a, start + b) for a, b in zip(edges[::2], edges[1::2], strict=False)
    )
    chunk = MicroChunk(Span(start, start + len(pcm)), pcm, speech)
    note = ChunkMetadata.model_validate_json(
        note_of(chunk, DecodeOptions(beam_size=3)).model_dump_json()
    )
    arrived = chunk_of(note, from_wav(to_wav(chunk.pcm)))
    assert (arrived.span, arrived.speech) == (chunk.span, chunk.speech)
    assert np.array_equal(arrived.pcm, chunk.pcm)
    assert note.options == DecodeOptions(beam_size=3)


@given(st.floats(0, 1), st.floats(-5, 0))
def test_a_result_arrives_as_it_was(probability: float, score: float) -> None:
    """Not a bit of a score and no sample of a time is lost on the way."""
    word = Word(start_sample=5, end_sample=9, text=" Straße", probability=probability)
    segment = Segment(
        start_sample=5,
        end_sample=9,
        text=" Straße",
        language="de",
        words=(word,),
        tokens=(1, 2),
        avg_logprob=score,
        decode_path="fallback",
    )
    answer = ChunkAnswer(
        result=MicroResult((segment,), "de", probability, 2, 1), votes={"de": probability}
    )
    assert ChunkAnswer.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize(
    ("num_samples", "speech"),
    [
        (0, ()),
        (MAX_CHUNK_SAMPLES + 1, ()),
        (100, ((0, 50),)),
        (100, ((1_050, 1_200),)),
        (9, ((2, 1),)),
    ],
)
def test_what_is_no_chunk(num_samples: int, speech: tuple[tuple[int, int], ...]) -> None:
    """Empty, too long, or with speech outside of it: refused."""
    note = ChunkMetadata(start_sample=1_000, speech=speech, options=DecodeOptions())
    with pytest.raises(NotMediaError):
        chunk_of(note, np.zeros(num_samples, np.int16))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"x" * 100, to_wav(np.zeros(9, np.int16))[:30]])
def test_what_is_no_wav(content: bytes) -> None:
    """Anything but 16-bit mono at 16 kHz is refused."""
    with pytest.raises(NotMediaError):
        from_wav(content)
