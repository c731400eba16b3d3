"""Many requests at once: nothing is lost, nothing mixed up, and batches are shared."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from longform.audio import Pcm
from longform.speech.remote.chunk_protocol import to_wav
from tests.serving.conftest import wait_until
from tests.support.gated_engine import Gate
from tests.support.model_service import service_in_thread

NUM_REQUESTS = 64
BATCH_SIZE = 4  # of the services in these tests


def test_64_requests_at_once(tmp_path: Path, gate: Gate, speech: Pcm, spool: Path) -> None:
    """Each request gets the text of its own audio, and the engine gets full batches."""
    parts = [speech[at * 32_000 :][: 3 * 16_000] for at in range(NUM_REQUESTS // 2)]
    uploads = [to_wav(part) for part in [*parts, *parts]]
    with service_in_thread(tmp_path) as service, ThreadPoolExecutor(NUM_REQUESTS) as pool:
        gate.close()
        answers = [pool.submit(service.post, upload) for upload in uploads]
        gate.wait_for_batch()
        wait_until(
            lambda: service.metric("longform_requests_in_flight") == NUM_REQUESTS,
            "every request is in",
        )
        # A few are decoded at a time; the others wait for those.
        wait_until(lambda: service.metric("longform_queue_depth") >= BATCH_SIZE, "a batch is ready")
        gate.open()
        found = [answer.result() for answer in answers]
        assert {response.status_code for response in found} == {200}
        texts = [response.json()["text"] for response in found]
        assert texts[: len(parts)] == texts[len(parts) :]
        assert len(set(texts)) == len(parts)
        assert all(texts)
        assert service.metric("longform_requests_total", status="200") == NUM_REQUESTS
        assert service.metric("longform_batch_size_sum") == sum(gate.batches) == NUM_REQUESTS
        assert service.metric("longform_batches_total") == len(gate.batches)
        assert max(gate.batches) == BATCH_SIZE
        assert service.metric("longform_engine_audio_seconds_total") > NUM_REQUESTS
        assert service.metric("longform_streams") == 0
        assert service.metric("longform_queue_depth") == 0
    assert list(spool.iterdir()) == []


def test_long_audio_and_short_share_the_engine(
    tmp_path: Path, gate: Gate, speech: Pcm, speech_wav: bytes
) -> None:
    """Two minutes are taken whole, and a short request need not wait for their end."""
    with service_in_thread(tmp_path) as service, ThreadPoolExecutor(2) as pool:
        gate.close()
        long = pool.submit(service.post, to_wav(speech))
        gate.wait_for_batch()
        short = pool.submit(service.post, speech_wav)
        wait_until(
            lambda: service.metric("longform_requests_in_flight") == 2, "the short one is in"
        )
        gate.open()
        assert short.result().json()["text"].count("word") == 2
        assert long.result().json()["text"].count("word") >= 2 * 5  # micro chunks of 30 s
