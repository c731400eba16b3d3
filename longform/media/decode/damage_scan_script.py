"""Run as a script in a child: which packets of a source are broken, as lines of JSON.

PyAV and the standard library only. Its one argument is JSON: `url`, `options`, `audio_stream`,
`length_bytes`,
`counted`, `from_sec` and `to_sec` (null: all). Each line has `at_sec`, `lost_sec` (audio that
a decoder does not deliver) and `heard_sec` (audio that it makes of broken data).

`counted` is for formats without time stamps (mp3, ADTS): `at_sec` then counts what decoders
deliver. There libavformat hands over everything between two good frames as one bad packet,
so its size says how much is lost: exactly at a constant bit rate, else nearly. (Of ADTS it
swallows them: what is missing of the file's length is spread over the broken places.) A tag in
the middle, of joined files, is no loss. In all other formats `at_sec` is the time stamp, and what
is lost shows as a gap there.
"""

import json
import sys
from typing import Any

import av

TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


def scan(container: Any, order: dict[str, Any]) -> list[dict[str, float]]:
    """Return one finding per broken packet, in order."""
    stream = container.streams.audio[order["audio_stream"]]
    stream.thread_type = "NONE"
    stream.codec_context.options = {"err_detect": "crccheck"}
    if order["from_sec"]:
        container.seek(int(order["from_sec"] * av.time_base))
    tally = _Tally(stream.codec_context, is_counted=order["counted"])
    with av.logging.Capture(local=False) as complaints:
        for packet in container.demux(stream):
            complaints.clear()
            if not packet.size:
                continue
            if not order["counted"] and packet.pts is not None:
                tally.time_sec = float(packet.pts * packet.time_base)
            if order["to_sec"] is not None and tally.time_sec > order["to_sec"]:
                break
            heard_sec = _decoded_sec(packet)
            is_sound = heard_sec is not None and not complaints and not packet.is_corrupt
            tally.add(packet, heard_sec or 0.0, is_sound=is_sound)
    if container.format.name == "aac":
        tally.spread(order["length_bytes"])
    return tally.findings


class _Tally:
    """Where the scan is, what good audio takes in bytes, and what was broken."""

    def __init__(self, codec: Any, *, is_counted: bool) -> None:
        self._is_counted = is_counted
        self._frame_sec = (codec.frame_size or 1) / codec.sample_rate
        self._good_bytes, self._good_sec, self._num_bytes = 0, 0.0, 0
        self.time_sec = 0.0
        self.findings: list[dict[str, float]] = []

    def add(self, packet: Any, heard_sec: float, *, is_sound: bool) -> None:
        """Take a packet and what a decoder makes of it."""
        self._num_bytes += packet.size
        if is_sound:
            self._good_bytes += packet.size
            self._good_sec += heard_sec
        elif not bytes(packet)[:16].startswith(TAGS):
            lost_sec, broken_sec = 0.0, heard_sec
            if self._is_counted and not heard_sec:
                lost_sec = self._whole_frames_sec(packet.size)
            elif not heard_sec:
                duration_sec = float((packet.duration or 0) * packet.time_base)
                broken_sec = duration_sec or self._frame_sec
            found = {"at_sec": self.time_sec, "lost_sec": lost_sec, "heard_sec": broken_sec}
            self.findings.append(found)
        if self._is_counted:
            self.time_sec += heard_sec

    def spread(self, length_bytes: int) -> None:
        """Take what no packet held for lost, in equal parts at the broken places."""
        if self.findings and self._good_bytes:
            skipped = max(0, length_bytes - self._num_bytes)
            skipped_sec = skipped * self._good_sec / self._good_bytes
            for finding in self.findings:
                finding["lost_sec"] += skipped_sec / len(self.findings)

    def _whole_frames_sec(self, num_bytes: int) -> float:
        lost_sec = num_bytes * self._good_sec / (self._good_bytes or 1)
        return float(round(lost_sec / self._frame_sec) * self._frame_sec)


def _decoded_sec(packet: Any) -> float | None:
    """Return how much audio a decoder makes of a packet, in seconds; None: it refuses it."""
    try:
        return sum((frame.samples / frame.sample_rate for frame in packet.decode()), 0.0)
    except av.error.FFmpegError:
        return None


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    av.logging.set_level(av.logging.ERROR)
    with av.open(given["url"], options=given["options"]) as source:
        for finding in scan(source, given):
            print(json.dumps(finding), flush=True)
