"""The remote engine: what it sends, what it makes of answers, and when it gives up."""

import json
import logging
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.errors import (
    EngineUnavailableError,
    EnvironmentFaultError,
    InputError,
    LongformError,
    ParameterError,
    UnknownModelError,
)
from longform.params import TranscribeParams
from longform.settings import Settings, with_overrides
from longform.speech.engine import (
    DecodeOptions,
    EngineSpec,
    MicroRequest,
    MicroResult,
    RemoteService,
)
from longform.speech.engine_choice import choose_engine
from longform.speech.engines import spec_identity
from longform.speech.language import LanguageVotes
from longform.speech.remote import client
from longform.speech.remote.chunk_protocol import ANSWER_FIELD, ChunkAnswer, ChunkMetadata, from_wav
from longform.speech.remote.remote_engine import RemoteEngine, create
from longform.transcript.segment import Segment
from tests.support.speech_server import Answer, SpeechServer, speech_server

START = 480_123
KEY = "sk-very-secret"
TEXT = Answer({"text": "Hello there."})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF_BASE_SEC", 0.001)
    monkeypatch.setenv("LONGFORM_ENGINE_API_KEY", KEY)


def chunk(start: int = START, seconds: int = 4) -> MicroChunk:
    """Return a chunk of noise, with speech in its middle."""
    generator = np.random.default_rng(start)
    pcm = generator.integers(-9_000, 9_000, seconds * 16_000).astype(np.int16)
    span = Span(start, start + len(pcm))
    return MicroChunk(span, pcm, (Span(start + 8_000, start + 16_000),))


def engine_at(server: SpeechServer, *, exact: bool = False, batch_size: int = 4) -> RemoteEngine:
    """Return an engine that asks `server`."""
    service = RemoteService(url=f"{server.url}/v1", identity="remote, test", speaks_longform=exact)
    spec = EngineSpec(backend="remote", model="m", batch_size=batch_size, remote=service)
    engine = create(spec, Path("/nonexistent"))
    assert isinstance(engine, RemoteEngine)
    return engine


def ask(engine: RemoteEngine, *chunks: MicroChunk, **options: object) -> list[MicroResult]:
    """Decode chunks as one batch of one stream."""
    track = LanguageVotes()
    requests = [MicroRequest(each, track) for each in chunks or (chunk(),)]
    return engine.transcribe(requests, DecodeOptions.model_validate(options))


def test_what_another_server_is_sent() -> None:
    """The plain API, and nothing that a server which knows no more might refuse."""
    with speech_server(TEXT) as server:
        ask(engine_at(server), initial_prompt="Names.", hotwords="Jabber", language="en")
        ask(engine_at(server), task="translate", language="de", word_timestamps=False)
    (path, asked), (translation, english) = server.asked
    assert path == "/v1/audio/transcriptions"
    assert np.array_equal(from_wav(asked.pop("file")[0].encode("latin-1")), chunk().pcm)
    assert asked == {
        "model": ["m"],
        "language": ["en"],
        "prompt": ["Names. Jabber"],
        "temperature": ["0"],
        "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["segment", "word"],
    }
    assert translation == "/v1/audio/translations"
    assert set(english) == {"file", "model", "temperature", "response_format"}
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_a_full_answer() -> None:
    """Segments, words and scores arrive on the recording's timeline."""
    segment = {
        "start": 0.5,
        "end": 2.0,
        "text": " Hello, there.",
        "avg_logprob": -0.2,
        "no_speech_prob": 0.01,
        "compression_ratio": 1.1,
        "tokens": [5, 6],
        "temperature": 0.4,
    }
    words = [
        {"word": "Hello", "start": 0.5, "end": 1.0},
        {"word": "there", "start": 1.25, "end": 2.0},
    ]
    answer = {"language": "English", "text": "x", "segments": [segment], "words": words}
    with speech_server(Answer(answer)) as server:
        (result,) = ask(engine_at(server))
    (found,) = result.segments
    assert (result.language, found.language) == ("en", "en")
    assert (found.start_sample, found.end_sample) == (START + 8_000, START + 32_000)
    assert [word.text for word in found.words] == [" Hello,", " there."]
    assert [word.start_sample - START for word in found.words] == [8_000, 20_000]
    assert (found.avg_logprob, found.tokens, found.decode_path) == (-0.2, (5, 6), "fallback")


def test_a_batch_is_sent_at_once() -> None:
    """As many requests as a batch has chunks, in order, and never more at a time than allowed."""
    starts = [START + number * 64_000 for number in range(9)]
    with speech_server(TEXT) as server:
        results = ask(engine_at(server, batch_size=3), *map(chunk, starts))
    assert [result.segments[0].start_sample for result in results] == starts
    assert 1 < server.most_at_once <= 3


def test_a_server_with_text_only() -> None:
    """Where verbose_json is refused, plain JSON is asked for, and not tried again later."""
    refusal = Answer({"error": {"message": "no", "param": "response_format"}}, status=400)
    with speech_server(refusal, TEXT) as server:
        engine = engine_at(server)
        first, second = ask(engine)[0], ask(engine)[0]
    assert first == second
    (segment,) = first.segments
    assert (segment.text, segment.words, segment.avg_logprob) == ("Hello there.", (), None)
    assert (segment.start_sample, segment.end_sample) == (START, START + 64_000)
    asked = [fields["response_format"] for _, fields in server.asked]
    assert asked == [["verbose_json"], ["json"], ["json"]]


@pytest.mark.parametrize(
    "passing",
    [
        Answer({}, status=500),
        Answer(raw=b"<html>bad gateway</html>", status=502),
        Answer({}, status=503, headers={"Retry-After": "0"}),
        Answer({"error": {"message": "slow down"}}, status=429),
        Answer(cut=True),
    ],
)
def test_what_may_pass_is_tried_again(passing: Answer) -> None:
    """Faults, a full queue and a cut connection are waited out."""
    with speech_server(passing, passing, TEXT) as server:
        (result,) = ask(engine_at(server))
    assert result.segments[0].text == "Hello there."
    assert len(server.asked) == 3


def test_retry_after_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause is the one that was asked for, up to a bound."""
    pauses: list[float] = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    busy = [Answer({}, status=429, headers={"Retry-After": wait}) for wait in ("7", "9999")]
    with speech_server(*busy, TEXT) as server:
        ask(engine_at(server))
    assert pauses == [7.0, client.BACKOFF_MAX_SEC]


@pytest.mark.parametrize(
    ("answer", "kind", "hint"),
    [
        (Answer({}, status=500), EngineUnavailableError, "500"),
        (Answer(cut=True), EngineUnavailableError, "cannot be reached"),
        (Answer({}, status=401), EnvironmentFaultError, "LONGFORM_ENGINE_API_KEY"),
        (Answer({}, status=403), EnvironmentFaultError, "LONGFORM_ENGINE_API_KEY"),
        (Answer({}, status=404), UnknownModelError, "refuses"),
        (
            Answer({"error": {"message": "bad\nlanguage"}}, status=400),
            ParameterError,
            "bad language",
        ),
        (Answer({"detail": "x"}, status=413), ParameterError, "413"),
        (Answer({"error": "odd"}, status=422), ParameterError, "odd"),
        (Answer({}, status=504), ParameterError, "504"),
        (Answer(raw=b"<html>"), EnvironmentFaultError, "not a JSON object"),
        (Answer([1]), EnvironmentFaultError, "not a JSON object"),
    ],
)
def test_what_is_final(answer: Answer, kind: type[LongformError], hint: str) -> None:
    """Each refusal has its type and one line that says what to do, never the key."""
    with speech_server(answer) as server, pytest.raises(kind, match=hint) as raised:
        ask(engine_at(server))
    assert "\n" not in str(raised.value)
    assert KEY not in str(raised.value)
    assert len(server.asked) == (1 if issubclass(kind, InputError) else client.MAX_ATTEMPTS)


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes a chunk and says nothing is given up on, without asking it again."""
    monkeypatch.setattr(client, "ANSWER_TIMEOUT_SEC", 0.2)
    over = threading.Event()
    with speech_server(Answer({}, late=over)) as server:
        with pytest.raises(EngineUnavailableError, match="did not answer"):
            ask(engine_at(server))
        while not server.asked:  # it has been sent, and may not have been read yet
            time.sleep(0.01)
        over.set()
    assert len(server.asked) == 1


def test_nobody_listens() -> None:
    """A service that is down is an error that names its address."""
    with speech_server(TEXT) as server:
        pass
    with pytest.raises(EngineUnavailableError, match=server.url):
        ask(engine_at(server))


def said(language: str) -> Segment:
    """Return a segment of which a window on its own is quite sure."""
    return Segment(
        start_sample=START,
        end_sample=START + 16_000,
        text=" text",
        language=language,
        language_probability=1.0,
    )


def test_the_language_of_the_stream_wins() -> None:
    """A window that is unsure is decoded again in the language that its stream speaks."""

    def answer(language: str, votes: dict[str, float]) -> Answer:
        is_sure = max(votes.values(), default=1.0) >= 0.8
        heard = MicroResult((said(language),), language, 1.0, is_sure_of_language=is_sure)
        exact = ChunkAnswer(result=heard, votes=votes)
        return Answer({"text": "", ANSWER_FIELD: json.loads(exact.model_dump_json())})

    sure, unsure = answer("de", {"de": 0.95, "en": 0.05}), answer("en", {"en": 0.5, "de": 0.4})
    with speech_server(sure, unsure, answer("de", {})) as server:
        results = ask(engine_at(server, exact=True, batch_size=1), chunk(), chunk(START + 64_000))
    track = LanguageVotes()
    track.decide(START, [("de", 0.95), ("en", 0.05)])
    decided = track.decide(START + 64_000, [("en", 0.5), ("de", 0.4)])
    assert [result.language for result in results] == ["de", "de"]
    assert (results[1].language, results[1].language_probability) == decided
    assert [
        (result.segments[0].language, result.segments[0].language_probability) for result in results
    ] == [("de", 0.95), decided]
    assert [result.is_sure_of_language for result in results] == [True, False]
    notes = [ChunkMetadata.model_validate_json(f["longform_chunk"][0]) for _, f in server.asked]
    assert [note.options.language for note in notes] == [None, None, "de"]
    assert [note.start_sample for note in notes] == [START, START + 64_000, START + 64_000]
    assert notes[0].speech == ((START + 8_000, START + 16_000),)


def test_a_service_of_another_version() -> None:
    """An answer that cannot be read is said to be of another version."""
    odd = Answer({"text": "x", ANSWER_FIELD: {"result": {"surprise": 1}}})
    with speech_server(odd) as server, pytest.raises(EnvironmentFaultError, match="version"):
        ask(engine_at(server, exact=True))


def remote_settings(server: SpeechServer, tmp_path: Path) -> Settings:
    """Return settings that point to a server."""
    return with_overrides(Settings(home=tmp_path), engine="remote", engine_url=server.url)


def test_the_cache_key_knows_the_model_and_not_the_host(tmp_path: Path) -> None:
    """Two servers with one model are the same engine; another model, or key, changes that."""

    def models(sha256: str) -> Answer:
        about = {"identity": "faster_whisper, decoder 1", "model_sha256": sha256}
        return Answer({"data": [{"id": "base", ANSWER_FIELD: about}]})

    def chosen(server: SpeechServer) -> tuple[str | None, str]:
        spec = choose_engine(TranscribeParams(), remote_settings(server, tmp_path))
        assert spec.remote is not None
        assert spec.remote.speaks_longform
        return spec.model_sha256, spec_identity(spec)

    with speech_server(TEXT) as one, speech_server(TEXT) as other:
        one.models, other.models = models("a" * 64), models("a" * 64)
        first = chosen(one)
        assert first == chosen(other) == ("a" * 64, "remote, faster_whisper, decoder 1")
        other.models = models("b" * 64)
        assert chosen(other) != first


def test_a_model_that_the_service_has_not(tmp_path: Path) -> None:
    """One of our services names its models; of another, every name is passed on."""
    about = {"identity": "x", "model_sha256": None}
    with speech_server(TEXT) as server:
        server.models = Answer({"data": [{"id": "large-v3", ANSWER_FIELD: about}]})
        with pytest.raises(UnknownModelError, match="large-v3"):
            choose_engine(TranscribeParams(), remote_settings(server, tmp_path))
        for models in (Answer({}, status=404), Answer({"data": None}), Answer({"data": ["x"]})):
            server.models = models
            spec = choose_engine(TranscribeParams(), remote_settings(server, tmp_path))
            assert (spec.model, spec.model_sha256) == ("base", None)


@pytest.mark.parametrize(
    "url",
    [None, "", "ftp://host", "host:8000", "http://", "http://user:pw@host", "http://host/?key=x"],
)
def test_an_address_that_is_none(url: str | None, tmp_path: Path) -> None:
    """The address is checked before anything is sent, and secrets in it are refused."""
    settings = Settings(home=tmp_path, engine="remote", engine_url=url)
    with pytest.raises(ParameterError) as raised:
        choose_engine(TranscribeParams(), settings)
    assert "pw" not in str(raised.value)


def test_the_key_is_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs nor specs, settings or variables for children hold the key."""
    caplog.set_level(logging.DEBUG)
    with speech_server(TEXT) as server:
        settings = remote_settings(server, tmp_path)
        spec = choose_engine(TranscribeParams(), settings)
        engine = create(spec, tmp_path)
        ask(engine)  # type: ignore[arg-type]
    shown = [
        repr(spec),
        spec.model_dump_json(),
        repr(settings),
        repr(settings.to_environment()),
        repr(engine),
        repr(vars(engine)),
        settings.model_dump_json(),
        caplog.text,
    ]
    assert not any(KEY in text for text in shown)
    assert f"Bearer {KEY}" in server.keys


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_base_of_the_api(url: str) -> None:
    """With or without /v1, an address leads to the same API."""
    assert client.service_url(url) == "http://h:1/v1"
