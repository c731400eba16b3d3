"""Run as a script in a child: how loud the channels of a source are, and their mix.

PyAV and numpy only. Its one argument is JSON: `url`, `options`, `audio_stream`, `places_sec`
and `stretch_sec`. It writes one line of JSON per stretch. The mix is libswresample's, as ffmpeg
makes it for `-ac 1`: the mean of stereo; of 5.1 the front, centre and, softer, rear channels,
scaled so that none can clip, and no LFE.
"""

import json
import sys
from typing import Any

import av
import numpy as np


def measure(container: Any, stream: Any, at_sec: float, stretch_sec: float) -> dict[str, Any]:
    """Return mean squares of a stretch (full scale is 1), by channel and of their mix."""
    if at_sec:
        container.seek(int(at_sec * av.time_base) + (container.start_time or 0))
    own = av.AudioResampler(format="fltp")
    mono = av.AudioResampler(format="fltp", layout="mono")
    channels, mixed, seconds = [], [], 0.0
    for frame in _frames(container, stream):
        frame.pts = None
        channels += [part.to_ndarray() for part in own.resample(frame)]
        mixed += [part.to_ndarray() for part in mono.resample(frame)]
        seconds += frame.samples / frame.sample_rate
        if seconds >= stretch_sec:
            break
    if not channels or len({part.shape[0] for part in channels}) > 1:
        return {}
    samples = np.concatenate(channels, axis=1).astype(float)
    squares = (samples**2).mean(axis=1)
    together = (samples[0] * samples[-1]).mean()
    likeness = together / np.sqrt(squares[0] * squares[-1]) if squares.all() else 0.0
    return {
        "channels": squares.tolist(),
        "mix": float((np.concatenate(mixed, axis=1).astype(float) ** 2).mean()),
        "likeness": float(likeness),
    }


def _frames(container: Any, stream: Any) -> Any:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    with av.open(order["url"], options=order["options"]) as source:
        chosen = source.streams.audio[order["audio_stream"]]
        chosen.thread_type = "NONE"
        for place in order["places_sec"]:
            print(json.dumps(measure(source, chosen, place, order["stretch_sec"])), flush=True)
