"""A client that goes away takes its work with it, and leaves nothing behind."""

import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from longform.audio import Pcm
from longform.media.gateway import gateway
from longform.speech.remote.chunk_protocol import to_wav
from tests.serving.conftest import wait_until
from tests.serving.test_limits import address, form, head
from tests.support.gated_engine import Gate
from tests.support.model_service import RunningService, service_in_thread

IN_FLIGHT = "longform_requests_in_flight"
GONE = "longform_requests_total"


def begin(service: RunningService, body: bytes, length: int | None = None) -> socket.socket:
    """Send a request, or the beginning of one, and do not wait for its answer."""
    client = socket.create_connection(address(service), timeout=60)
    client.sendall(head(service, len(body) if length is None else length) + body)
    return client


def test_its_queued_chunks_are_withdrawn(
    tmp_path: Path, gate: Gate, speech: Pcm, speech_wav: bytes, spool: Path
) -> None:
    """While others are decoded, what a client that has gone had queued is taken back."""
    with service_in_thread(tmp_path) as service, ThreadPoolExecutor(1) as pool:
        gate.close()
        other = pool.submit(service.post, speech_wav)
        gate.wait_for_batch()
        client = begin(service, form(to_wav(speech[: 90 * 16_000])))
        wait_until(lambda: service.metric("longform_queue_depth") >= 3, "its chunks are queued")
        client.close()
        wait_until(lambda: service.metric("longform_queue_depth") == 0, "they are taken back")
        wait_until(lambda: service.metric(IN_FLIGHT) == 1, "the request has ended")
        gate.open()
        assert other.result().status_code == 200
        assert service.metric("longform_streams") == 0
        assert gate.batches == [1]
        assert service.metric(GONE, endpoint="transcriptions", status="499") == 1
        assert list(spool.iterdir()) == []


def test_it_goes_in_mid_upload(tmp_path: Path, gate: Gate, speech_wav: bytes, spool: Path) -> None:
    """Half an upload is removed, and nothing of it reaches the engine."""
    with service_in_thread(tmp_path) as service:
        client = begin(service, form(speech_wav)[:100_000], length=len(form(speech_wav)))
        wait_until(lambda: any(spool.rglob("upload")), "the upload has begun")
        client.close()
        wait_until(lambda: not any(spool.iterdir()), "it is removed")
        wait_until(lambda: service.metric(IN_FLIGHT) == 0, "the request has ended")
        assert service.metric(GONE, endpoint="transcriptions", status="499") == 1
        assert gate.batches == []


def test_many_come_and_go(tmp_path: Path, gate: Gate, speech_wav: bytes, spool: Path) -> None:
    """After a hundred that leave there are the threads and folders of a service that is idle."""

    def leave(service: RunningService, times: int) -> None:
        for number in range(times):
            cut = None if number % 2 else 50_000
            begin(service, form(speech_wav)[:cut], length=len(form(speech_wav))).close()
        wait_until(lambda: service.metric(IN_FLIGHT) == 0, "all have ended")
        wait_until(lambda: service.metric("longform_streams") == 0, "no stream is left")
        assert service.post(speech_wav).status_code == 200

    with service_in_thread(tmp_path, max_decoding=2) as service:
        leave(service, 30)
        idle = threads_of_no_pool()
        leave(service, 70)
        wait_until(lambda: threads_of_no_pool() <= idle, f"no thread is left beside {idle}")
        assert list(spool.iterdir()) == []


def threads_of_no_pool() -> "Counter[str]":
    """Return the threads beside those of pools, by name.

    Pools have their own limits, and grow up to them when the machine is busy.
    """
    pools = ("AnyIO worker thread", "asyncio_", "longform-io_", "ThreadPoolExecutor-")
    names = (thread.name for thread in threading.enumerate())
    return Counter(name for name in names if not name.startswith(pools))


def test_no_upload_stays_open(
    tmp_path: Path,
    gate: Gate,
    speech_wav: bytes,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An upload is closed with its request, so that its room on the disk is free again."""
    # Other sources stay open for a while, because somebody may read them again.
    monkeypatch.setattr(gateway, "LINGER_SEC", 3_600.0)
    with service_in_thread(tmp_path) as service:
        assert service.post(speech_wav).status_code == 200
        assert service.post(speech_wav[:-1_000] + b"!").status_code == 200
        assert service.post(b"no audio").status_code == 400
        wait_until(lambda: not open_below(spool), "every upload is closed")


def open_below(folder: Path) -> list[str]:
    """Return the files below a folder that this process has open, removed ones included."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them has gone by now
            targets.append(str(descriptor.readlink()))
    return [target for target in targets if target.startswith(str(folder))]
