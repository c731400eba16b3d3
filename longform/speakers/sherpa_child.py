"""The process in which sherpa-onnx runs: a request as its argument, turns as JSON on stdout."""

import sys
from typing import Any

from longform.params import FrozenModel

_MIN_ON_SEC, _MIN_OFF_SEC = 0.3, 0.5  # shorter turns are dropped, shorter pauses bridged
_UNKNOWN = -1  # as many speakers as the threshold makes


class Request(FrozenModel):
    """What to diarize and how; paths are on this machine, audio is s16le at 16 kHz mono."""

    segmentation: str
    embedding: str
    audio: str
    num_threads: int
    window_shift: float
    num_speakers: int | None
    min_speakers: int | None
    max_speakers: int | None
    threshold: float


def diarize(request: Request) -> list[tuple[float, float, int]]:
    """Return (start_sec, end_sec, speaker) of every turn.

    sherpa-onnx knows a number of speakers or a threshold. Where the threshold gives fewer or
    more than allowed, it runs again with the nearest allowed number.
    """
    import numpy as np

    pcm = np.fromfile(request.audio, "<i2").astype(np.float32) / 32_768
    found = _run(request, pcm, request.num_speakers or _UNKNOWN)
    if request.num_speakers is None and found:
        heard = len({speaker for *_, speaker in found})
        allowed = min(max(heard, request.min_speakers or 1), request.max_speakers or heard)
        if allowed != heard:
            found = _run(request, pcm, allowed)
    return found


def _run(request: Request, pcm: Any, num_speakers: int) -> list[tuple[float, float, int]]:
    import sherpa_onnx

    pyannote = sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(request.segmentation)
    pyannote.window_shift_ratio = request.window_shift
    config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(
            pyannote=pyannote, num_threads=request.num_threads
        ),
        embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(
            model=request.embedding, num_threads=request.num_threads
        ),
        clustering=sherpa_onnx.FastClusteringConfig(
            num_clusters=num_speakers, threshold=request.threshold
        ),
        min_duration_on=_MIN_ON_SEC,
        min_duration_off=_MIN_OFF_SEC,
    )
    result = sherpa_onnx.OfflineSpeakerDiarization(config).process(pcm)
    return [(turn.start, turn.end, turn.speaker) for turn in result.sort_by_start_time()]


def main() -> None:
    """Answer the one request, which is the argument."""
    import json

    request = Request.model_validate_json(sys.argv[1])
    sys.stdout.write(f"\n{json.dumps(diarize(request))}\n")


if __name__ == "__main__":
    main()
