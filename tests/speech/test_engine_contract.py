"""What every engine keeps to, whatever it runs on."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from longform.audio import Pcm, Span
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import InvariantError, ParameterError
from longform.speech import engines
from longform.speech.batching import Batcher
from longform.speech.engine import DecodeOptions, Engine, EngineSpec, MicroRequest, MicroResult
from longform.speech.engines import BACKENDS, close_engines, engine_factory, loaded_engine
from longform.speech.language import LanguageVotes
from tests.support.model_service import KEY, RunningService, service_process

WELCOME = Path(__file__).resolve().parents[2] / "examples" / "welcome.flac"
SCRIPTED = "tests.support.scripted_engine:create"
START = 1_000_003  # samples; the recording's timeline does not begin with the chunk

ENGINES = [
    pytest.param(EngineSpec(backend=SCRIPTED), id="scripted"),
    pytest.param(
        EngineSpec(backend="faster_whisper", device="cpu", cpu_threads=1, batch_size=2),
        id="faster_whisper",
        marks=pytest.mark.model,
    ),
    pytest.param(
        EngineSpec(backend="faster_whisper", device="cpu", cpu_threads=2, batch_size=8),
        id="faster_whisper, two lanes",
        marks=pytest.mark.model,
    ),
    pytest.param(EngineSpec(backend="remote", batch_size=2), id="remote"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which weights are joined once for this module."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[RunningService]:
    """A model service with the scripted engine, for the remote one to ask."""
    with service_process(home, LONGFORM_ENGINE=SCRIPTED) as (running, _):
        yield running


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, home: Path) -> Iterator[Engine]:
    """Each engine, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param.backend == "remote":
            service = request.getfixturevalue("service")
            patch.setenv("LONGFORM_ENGINE_URL", service.url)
            patch.setenv("LONGFORM_ENGINE_API_KEY", KEY)
        yield loaded_engine(request.param, home).engine
    close_engines()


@pytest.fixture(scope="module")
def speech() -> Pcm:
    """Ten seconds of real speech."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(WELCOME)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])[: 10 * 16_000]


def chunk(pcm: Pcm, start_sample: int = START) -> MicroChunk:
    """Return a chunk that is speech throughout."""
    span = Span(start_sample, start_sample + len(pcm))
    return MicroChunk(span, pcm, (span,))


def ask(engine: Engine, *chunks: MicroChunk, **options: object) -> list[MicroResult]:
    """Decode the chunks as one batch of one stream."""
    track = LanguageVotes()
    requests = [MicroRequest(each, track) for each in chunks]
    return engine.transcribe(requests, DecodeOptions.model_validate(options))


def said(result: MicroResult) -> str:
    """Return all text of a result."""
    return "".join(segment.text for segment in result.segments)


def test_results_come_in_order_one_for_each_chunk(engine: Engine, speech: Pcm) -> None:
    """In a batch, every chunk has its own result at its own place."""
    half = len(speech) // 2
    first, second = chunk(speech[:half]), chunk(speech[half:], START + half)
    results = ask(engine, first, second)
    assert len(results) == 2
    assert all(said(result) for result in results)
    assert said(results[0]) != said(results[1])
    for each, result in zip((first, second), results, strict=True):
        for segment in result.segments:
            assert each.span.start_sample <= segment.start_sample
            assert segment.end_sample <= each.span.end_sample


def test_the_same_audio_gives_the_same_text(engine: Engine, speech: Pcm) -> None:
    """Decoding twice gives equal results."""
    assert ask(engine, chunk(speech)) == ask(engine, chunk(speech))


def test_segments_and_words_are_in_order_and_scored(engine: Engine, speech: Pcm) -> None:
    """Words lie in their segment, make its text, and never run backwards."""
    (result,) = ask(engine, chunk(speech))
    position = START
    for segment in result.segments:
        assert "".join(word.text for word in segment.words) == segment.text
        assert segment.avg_logprob is not None
        assert segment.tokens
        for word in segment.words:
            assert position <= word.start_sample <= word.end_sample <= segment.end_sample
            position = word.start_sample


def test_words_can_be_left_out(engine: Engine, speech: Pcm) -> None:
    """Without word timestamps the segments are the same but have no words."""
    (with_words,) = ask(engine, chunk(speech))
    (without,) = ask(engine, chunk(speech), word_timestamps=False)
    assert said(without) == said(with_words)
    assert all(segment.words == () for segment in without.segments)


def test_a_given_language_is_used(engine: Engine, speech: Pcm) -> None:
    """No language is detected where one is given."""
    (result,) = ask(engine, chunk(speech), language="en")
    assert (result.language, result.language_probability) == ("en", 1.0)


def test_the_path_of_decoding_is_told(engine: Engine, speech: Pcm) -> None:
    """A beam of one is a greedy search."""
    for beam_size, path in ((1, "greedy"), (2, "beam")):
        (result,) = ask(engine, chunk(speech), beam_size=beam_size)
        assert {segment.decode_path for segment in result.segments} == {path}


@pytest.mark.model
def test_the_real_engine_hears_what_is_said(home: Path, speech: Pcm) -> None:
    """The bundled recording begins with congratulations, in English."""
    batcher = loaded_engine(EngineSpec(device="cpu", cpu_threads=1, batch_size=2), home)
    (result,) = ask(batcher.engine, chunk(speech))
    close_engines()
    assert "congratulations" in said(result).casefold()
    assert result.language == "en"


@pytest.mark.model
def test_the_real_engine_says_nothing_over_silence(home: Path) -> None:
    """Ten seconds of digital silence that somebody took for speech have no text."""
    batcher = loaded_engine(EngineSpec(device="cpu", cpu_threads=1, batch_size=2), home)
    silence = np.zeros(10 * 16_000, np.int16)
    span = Span(0, len(silence))
    (result,) = ask(batcher.engine, MicroChunk(span, silence, ()))
    close_engines()
    assert said(result) == ""


def test_an_engine_is_loaded_once_however_many_race(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Threads that ask for the same engine at once share one batcher."""
    import threading

    loads: list[EngineSpec] = []
    factory = engine_factory(SCRIPTED)
    monkeypatch.setattr(
        engines, "engine_factory", lambda _: lambda *args: loads.append(args[0]) or factory(*args)
    )
    spec, found = EngineSpec(backend=SCRIPTED, model="raced"), list[Batcher]()
    threads = [
        threading.Thread(target=lambda: found.append(loaded_engine(spec, tmp_path)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_engines()
    assert (len(found), len(set(map(id, found))), len(loads)) == (8, 1, 1)
    with pytest.raises(InvariantError):
        found[0].open_stream(DecodeOptions())


@pytest.mark.parametrize("backend", ["no_such_engine", "longform.nowhere:create", "json:nothing"])
def test_an_unknown_backend_is_a_parameter_error(backend: str) -> None:
    """A wrong name is said to be wrong, in one line."""
    with pytest.raises(ParameterError, match="engine: "):
        engine_factory(backend)


def test_the_contract_covers_every_backend() -> None:
    """A backend that is added to the table has to be added to this suite."""
    tested = {param.values[0].backend for param in ENGINES}
    assert set(BACKENDS) <= tested
