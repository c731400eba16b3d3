"""Run as a script in a child: who speaks when, by sherpa-onnx, as a last line of JSON.

numpy, sherpa-onnx and the standard library only. Its one argument is JSON: `segmentation`,
`embedding` and `audio` (paths on this machine; audio is s16le at 16 kHz mono), `num_threads`,
`window_shift`, `num_speakers`, `min_speakers`, `max_speakers` (null: not known) and `threshold`.
"""

import json
import sys
from typing import Any

import numpy as np
import sherpa_onnx

_MIN_ON_SEC, _MIN_OFF_SEC = 0.3, 0.5  # shorter turns are dropped, shorter pauses bridged
_UNKNOWN = -1  # as many speakers as the threshold makes


def diarize(order: dict[str, Any]) -> list[tuple[float, float, int]]:
    """Return (start_sec, end_sec, speaker) of every turn.

    sherpa-onnx knows a number of speakers or a threshold. Where the threshold gives fewer or
    more than allowed, it runs again with the nearest allowed number.
    """
    pcm = np.fromfile(order["audio"], "<i2").astype(np.float32) / 32_768
    found = _run(order, pcm, order["num_speakers"] or _UNKNOWN)
    if order["num_speakers"] is None and found:
        heard = len({speaker for *_, speaker in found})
        allowed = min(max(heard, order["min_speakers"] or 1), order["max_speakers"] or heard)
        if allowed != heard:
            found = _run(order, pcm, allowed)
    return found


def _run(order: dict[str, Any], pcm: Any, num_speakers: int) -> list[tuple[float, float, int]]:
    pyannote = sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(order["segmentation"])
    pyannote.window_shift_ratio = order["window_shift"]
    config = sherpa_onnx.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(
            pyannote=pyannote, num_threads=order["num_threads"]
        ),
        embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(
            model=order["embedding"], num_threads=order["num_threads"]
        ),
        clustering=sherpa_onnx.FastClusteringConfig(
            num_clusters=num_speakers, threshold=order["threshold"]
        ),
        min_duration_on=_MIN_ON_SEC,
        min_duration_off=_MIN_OFF_SEC,
    )
    result = sherpa_onnx.OfflineSpeakerDiarization(config).process(pcm)
    return [(turn.start, turn.end, turn.speaker) for turn in result.sort_by_start_time()]


if __name__ == "__main__":
    # sherpa-onnx may write to stdout as well: the result is a line of its own.
    print(f"\n{json.dumps(diarize(json.loads(sys.argv[1])))}")
