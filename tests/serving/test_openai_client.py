"""The official `openai` client against a running service."""

import io
import json
from collections.abc import Iterator

import openai
import pytest

from tests.serving.conftest import wait_until
from tests.support.gated_engine import Gate
from tests.support.model_service import KEY, RunningService, service_in_thread


@pytest.fixture(scope="module")
def client(plain_service: RunningService) -> Iterator[openai.OpenAI]:
    """The client as its users set it up, except that it does not try again."""
    with openai.OpenAI(
        base_url=f"{plain_service.url}/v1", api_key=KEY, max_retries=0, timeout=120
    ) as made:
        yield made


def audio(content: bytes) -> tuple[str, io.BytesIO]:
    """Return a file as the client takes it."""
    return "speech.wav", io.BytesIO(content)


def test_json(client: openai.OpenAI, speech_wav: bytes) -> None:
    """The default answer has the text."""
    found = client.audio.transcriptions.create(file=audio(speech_wav), model="whisper-1")
    assert found.text.startswith("word")
    assert found.usage is not None
    assert found.usage.type == "duration"
    assert found.usage.seconds == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("response_format", "sign"), [("text", "word"), ("srt", "00:00:00,"), ("vtt", "WEBVTT\n")]
)
def test_text_formats(
    client: openai.OpenAI, speech_wav: bytes, response_format: str, sign: str
) -> None:
    """Text and subtitles come as they are."""
    found = client.audio.transcriptions.create(
        file=audio(speech_wav), model="base", response_format=response_format
    )
    assert isinstance(found, str)
    assert sign in found


@pytest.mark.parametrize(
    ("granularities", "has_segments", "has_words"),
    [
        (None, True, False),
        (["segment"], True, False),
        (["word"], False, True),
        (["segment", "word"], True, True),
    ],
)
def test_verbose_json(
    client: openai.OpenAI,
    speech_wav: bytes,
    granularities: list[str] | None,
    has_segments: bool,
    has_words: bool,
) -> None:
    """Segments and words are there where they were asked for, with times in seconds."""
    extra = {"timestamp_granularities": granularities} if granularities else {}
    found = client.audio.transcriptions.create(
        file=audio(speech_wav), model="base", response_format="verbose_json", **extra
    )
    assert (found.language, found.duration) == ("english", pytest.approx(6.0))
    assert bool(found.segments) == has_segments
    assert bool(found.words) == has_words
    for part in [*(found.segments or ()), *(found.words or ())]:
        assert 0 <= part.start < part.end <= 6.0
    if has_segments:
        assert "".join(segment.text for segment in found.segments).strip() == found.text
        assert found.segments[0].avg_logprob == pytest.approx(-0.1)
    if has_words:
        assert " ".join(word.word for word in found.words) == found.text


def test_translation(client: openai.OpenAI, speech_wav: bytes) -> None:
    """Translations come in the same formats, and are in English."""
    plain = client.audio.translations.create(file=audio(speech_wav), model="base")
    verbose = client.audio.translations.create(
        file=audio(speech_wav), model="base", response_format="verbose_json"
    )
    assert plain.text == verbose.text
    assert verbose.language == "english"
    assert json.loads(verbose.model_dump_json())["task"] == "translate"


def test_all_parameters(client: openai.OpenAI, speech_wav: bytes) -> None:
    """Language, prompt and temperature are taken; a language may be a name or a code."""
    for language in ("de", "German"):
        found = client.audio.transcriptions.create(
            file=audio(speech_wav),
            model="base",
            language=language,
            prompt="Asterisk, Jabber.",
            temperature=0.2,
            response_format="verbose_json",
            stream=False,
        )
        assert found.language == "german"


def test_models(client: openai.OpenAI) -> None:
    """The model is listed under each of its names, and another is not there."""
    assert [model.id for model in client.models.list()] == ["base", "whisper-1"]
    assert client.models.retrieve("base").owned_by == "longform"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("large-v3")


def test_a_wrong_key(plain_service: RunningService, speech_wav: bytes) -> None:
    """Another key, and one that only begins like the right one, are refused."""
    for key in ("wrong", KEY[:-1], KEY + "x"):
        client = openai.OpenAI(base_url=f"{plain_service.url}/v1", api_key=key, max_retries=0)
        with pytest.raises(openai.AuthenticationError) as raised:
            client.audio.transcriptions.create(file=audio(speech_wav), model="base")
        assert raised.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"language": "klingon"}, "language"),
        ({"response_format": "yaml"}, "response_format"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities[]"),
        ({"temperature": 2}, "temperature"),
        ({"prompt": "x" * 3_000}, "prompt"),
        ({"stream": True}, "stream"),
        ({"include": ["logprobs"]}, "include[]"),
        ({"extra_body": {"best_of": 3}}, "best_of"),
    ],
)
def test_bad_parameters(
    client: openai.OpenAI, speech_wav: bytes, asked: dict[str, object], param: str
) -> None:
    """What is not supported is refused by name, and not passed over."""
    with pytest.raises(openai.BadRequestError) as raised:
        client.audio.transcriptions.create(**{"file": audio(speech_wav), "model": "base"} | asked)
    assert raised.value.param == param
    assert raised.value.type == "invalid_request_error"


def test_an_unknown_model(client: openai.OpenAI, speech_wav: bytes) -> None:
    """A model that is not served is not found."""
    with pytest.raises(openai.NotFoundError) as raised:
        client.audio.transcriptions.create(file=audio(speech_wav), model="gpt-4o-transcribe")
    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    "content", [b"", b"no audio at all", b"RIFF\x24\x00\x00\x00WAVEfmt ", bytes(5_000)]
)
def test_broken_audio(client: openai.OpenAI, content: bytes) -> None:
    """What cannot be decoded is the client's fault, and no path of this machine is told."""
    with pytest.raises(openai.BadRequestError) as raised:
        client.audio.transcriptions.create(file=audio(content), model="base")
    assert raised.value.code == "invalid_audio"
    assert "tmp" not in raised.value.message


def test_a_full_service(tmp_path, gate: Gate, speech_wav: bytes) -> None:
    """The request over the limit is told when to come again; the one before it is answered."""
    from concurrent.futures import ThreadPoolExecutor

    with (
        service_in_thread(tmp_path, max_requests=1) as service,
        openai.OpenAI(base_url=f"{service.url}/v1", api_key=KEY, max_retries=0) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        gate.close()
        first = pool.submit(service.post, speech_wav)
        gate.wait_for_batch()
        with pytest.raises(openai.RateLimitError) as raised:
            client.audio.transcriptions.create(file=audio(speech_wav), model="base")
        gate.open()
        assert int(raised.value.response.headers["retry-after"]) >= 1
        assert raised.value.code == "rate_limit_exceeded"
        assert first.result().status_code == 200
        wait_until(lambda: service.metric("longform_requests_in_flight") == 0, "the request ends")
        assert client.audio.transcriptions.create(file=audio(speech_wav), model="base").text
