"""What a service refuses: too much, too slowly, or not what it says it is."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from longform.audio import Pcm
from longform.serving import connection
from longform.speech.remote.chunk_protocol import to_wav
from tests.conftest import WELCOME
from tests.serving.conftest import PATIENCE_SEC, wait_until
from tests.support.model_service import RunningService, service_in_thread
from tests.support.range_server import range_server

TRANSCRIPTIONS = "/v1/audio/transcriptions"
BOUNDARY = "xyz"


@pytest.fixture(scope="module")
def small_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that takes little."""
    home = tmp_path_factory.mktemp("home")
    with service_in_thread(home, max_upload_mb=1, max_duration_sec=10) as service:
        yield service


@pytest.fixture
def impatient_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningService]:
    """A service for clients that are too slow: on a busy machine the others would be, too."""
    limits = {"upload_stall_sec": 0.5, "min_upload_bytes_per_sec": 1_000_000}
    with service_in_thread(tmp_path, **limits) as service:
        monkeypatch.setattr(connection, "HEAD_TIMEOUT_SEC", 0.5)
        yield service


def address(service: RunningService) -> tuple[str, int]:
    """Return host and port of a service."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    return host, int(port)


def head(service: RunningService, length: int) -> bytes:
    """Return the head of a request with a form of that length."""
    return (
        f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {service.headers['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def code_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of an error in OpenAI's shape."""
    error = response.json()["error"]
    assert error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error["code"]


def form(content: bytes, name: str = "file") -> bytes:
    """Return the body of a form with a model and a file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nbase\r\n'
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'
    return (head + part).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def send(service: RunningService, content: object, **headers: str) -> httpx.Response:
    """Send a body as it is."""
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return httpx.post(
        f"{service.url}{TRANSCRIPTIONS}",
        content=content,
        headers=service.headers | kind | headers,
        timeout=60,
        trust_env=False,
    )


def test_an_oversized_body(small_service: RunningService, spool: Path) -> None:
    """Too large is refused whether the length is told beforehand or not, and leaves nothing."""
    body = form(bytes(3 * 2**20))
    assert code_of(send(small_service, body)) == (413, "file_too_large")
    blocks = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    assert code_of(send(small_service, blocks)) == (413, "file_too_large")
    assert list(spool.iterdir()) == []


def test_a_recording_that_is_too_long(small_service: RunningService, speech: Pcm) -> None:
    """The limit of duration holds for what is in the file."""
    response = small_service.post(to_wav(speech[: 11 * 16_000]))
    assert code_of(response) == (413, "audio_too_long")


def test_an_upload_that_stalls(impatient_service: RunningService, spool: Path) -> None:
    """A client that stops in mid-body is told so, and its file is removed."""
    with socket.create_connection(address(impatient_service), timeout=PATIENCE_SEC) as client:
        client.sendall(head(impatient_service, 100_000) + form(b"RIFF" * 100)[:-20])
        assert client.recv(4_096).startswith(b"HTTP/1.1 408 ")
    assert list(spool.iterdir()) == []


def test_an_upload_that_trickles(impatient_service: RunningService) -> None:
    """A client that never quite stops is ended as well."""
    with socket.create_connection(address(impatient_service), timeout=0.1) as client:
        client.sendall(head(impatient_service, 100_000) + form(b"")[:-20])
        answer = b""

        def trickled() -> bool:
            nonlocal answer
            client.sendall(b"x")
            try:
                answer = client.recv(4_096)
            except TimeoutError:
                return False
            return True

        wait_until(trickled, "the upload is ended")
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_that_never_begins(impatient_service: RunningService, sent: bytes) -> None:
    """A connection on which no request head is completed is closed."""
    with socket.create_connection(address(impatient_service), timeout=PATIENCE_SEC) as client:
        client.sendall(sent)
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"model": "base"}'),
        ("multipart/form-data", form(b"x")),
        (f"multipart/form-data; boundary={'x' * 300}", form(b"x")),
        (f"multipart/form-data; boundary={BOUNDARY}", b"not a form"),
        (f"multipart/form-data; boundary={BOUNDARY}", b""),
        (f"multipart/form-data; boundary={BOUNDARY}", form(b"x")[:-30]),
        (f"multipart/form-data; boundary={BOUNDARY}", form(b"x", name="other")),
    ],
)
def test_what_is_no_form(plain_service: RunningService, content_type: str, body: bytes) -> None:
    """Anything but a whole form with a file is a bad request."""
    response = send(plain_service, body, **{"Content-Type": content_type})
    assert code_of(response) == (400, "invalid_form")


def test_excessive_forms(plain_service: RunningService, speech_wav: bytes) -> None:
    """Fields are bounded in number and length, and none may come twice."""
    many = {f"field{number}": "" for number in range(100)}
    assert code_of(plain_service.post(speech_wav, **many)) == (400, "invalid_form")
    assert code_of(plain_service.post(speech_wav, prompt="x" * 70_000)) == (400, "invalid_form")
    model = b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nbase\r\n'
    twice = model + form(speech_wav)
    assert code_of(send(plain_service, twice)) == (400, "invalid_value")


@pytest.mark.parametrize(
    ("note", "status"),
    [
        ({}, 200),
        ({"speech": [[0, 10**9]]}, 400),
        ({"start_sample": -1}, 400),
        ({"surprise": 1}, 400),
        ({"options": {"beam_size": 10_000}}, 400),
        ({"options": {"task": "translate"}}, 400),
        ({"options": {"initial_prompt": "x" * 3_000}}, 400),
    ],
)
def test_notes_of_micro_chunks(
    plain_service: RunningService, speech_wav: bytes, note: dict[str, object], status: int
) -> None:
    """What comes with a micro chunk is held to the bounds of every parameter."""
    sent = json.dumps({"start_sample": 5, "speech": [[5, 9]], "options": {}} | note)
    response = plain_service.post(speech_wav, longform_chunk=sent)
    assert response.status_code == status
    assert ("longform" in response.json()) == (status == 200)


def test_a_micro_chunk_that_is_none(plain_service: RunningService, speech: Pcm) -> None:
    """With a note, only a WAV file of up to 30 s is taken; without one, anything."""
    note = json.dumps({"start_sample": 0, "speech": [], "options": {}})
    for content in (to_wav(speech[: 31 * 16_000]), WELCOME.read_bytes()):
        response = plain_service.post(content, longform_chunk=note)
        assert code_of(response) == (400, "invalid_audio")
        assert plain_service.post(content).status_code == 200


def test_no_model_is_named(plain_service: RunningService, speech_wav: bytes) -> None:
    """The model is a required field, as in OpenAI's API."""
    assert plain_service.post(speech_wav, model="").json()["error"]["param"] == "model"


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile {url}\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
        b"{url}",
    ],
)
def test_no_address_in_an_upload_is_opened(
    plain_service: RunningService, speech_wav: bytes, content: bytes
) -> None:
    """Playlists, and a URL in the place of the file, lead nowhere."""
    with range_server() as server:
        server.habits.files["/secret.wav"] = speech_wav
        url = f"{server.url}/secret.wav".encode()
        response = plain_service.post(content.replace(b"{url}", url))
        assert code_of(response) == (400, "invalid_audio")
        as_field = httpx.post(
            f"{plain_service.url}{TRANSCRIPTIONS}",
            headers=plain_service.headers,
            files={"model": (None, "base"), "file": (None, url)},
            timeout=PATIENCE_SEC,
            trust_env=False,
        )
        assert code_of(as_field) == (400, "invalid_audio")
        assert server.requests == []


def test_a_request_that_takes_too_long(tmp_path: Path, gate, speech_wav: bytes) -> None:
    """Over the time limit a request is ended, and what it had queued is taken back."""
    with service_in_thread(tmp_path, request_timeout_sec=1.5) as service:
        gate.close()
        response = service.post(speech_wav)
        assert code_of(response) == (504, "request_timeout")
        gate.open()
        wait_until(lambda: service.metric("longform_streams") == 0, "no stream is left")


@pytest.mark.parametrize("value", ["", "Bearer", "Basic a", "Bearer \u043a\u043b"])
def test_headers_that_are_no_key(plain_service: RunningService, value: str) -> None:
    """Whatever stands in the header, it is refused and nothing breaks."""
    headers = {"Authorization": value.encode()}
    response = httpx.get(f"{plain_service.url}/v1/models", headers=headers, timeout=PATIENCE_SEC)
    assert code_of(response) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"


def test_unknown_paths(plain_service: RunningService) -> None:
    """Errors of routing have the same shape."""
    with httpx.Client(base_url=plain_service.url, timeout=PATIENCE_SEC) as client:
        assert code_of(client.get("/v1/nowhere")) == (404, "not_found")
        assert code_of(client.get(TRANSCRIPTIONS))[0] == 405
