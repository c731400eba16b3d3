"""ffmpeg's part in a recording: which binary, and with which arguments it decodes.

Facts that the arguments rest on, the same in ffmpeg 5.1 and 9.0:

- ffmpeg subtracts the container's start time, and otherwise counts samples: a gap between two
  time stamps is closed. `aresample=async=1` fills and trims by time stamps instead, without
  stretching anything. On undisturbed files it changes no sample.
- Vorbis in Ogg has time stamps that waver by 10 ms at every page; others by 1 ms at most.
- When rate or layout change inside a stream, ffmpeg builds its filters anew: `first_pts` would
  pad from zero again there. It also moves the resampler's phase. So the silence in front of
  late audio is put there by `extract`, which is told of the first time stamp.
"""

import shutil
from typing import Any

import ffmpeg

from longform.audio import SAMPLE_RATE_HZ, Span
from longform.errors import EnvironmentFaultError
from longform.media.model import Media

BLOCK_SAMPLES = 65_536  # samples per yielded block: about 4 s
PREROLL_SEC = 3  # seconds decoded before a window, so that the decoder's state has settled
SETTLE_SEC = 1  # seconds of that which never reach the resampler
LONGEST_GAP_SEC = 3_600  # seconds without audio that are kept; a longer jump is closed
BACKWARDS_SEC = 0.1  # seconds of overlap that are trimmed; a longer one is a new beginning
JITTER_SEC = 0.015  # seconds; less than a frame of any codec but AAC at 96 kHz
WAVERING_SEC = {"vorbis": 0.1}  # codecs whose time stamps are less exact

# Which of ffmpeg's demuxers may see a recording: no playlist or manifest (hls, dash, concat, sdp,
# imf), which make ffmpeg open other addresses and files; no images, and no raw formats that would
# take any bytes for sound. Every name exists in ffmpeg 5.1 and 9.0.
ALLOWED_DEMUXERS = (
    "aac",
    "ac3",
    "aiff",
    "amr",
    "ape",
    "asf",
    "au",
    "avi",
    "caf",
    "dsf",
    "dts",
    "eac3",
    "flac",
    "flv",
    "gsm",
    "loas",
    "matroska",
    "mov",
    "mp3",
    "mpc",
    "mpc8",
    "mpeg",
    "mpegts",
    "mxf",
    "nistsphere",
    "ogg",
    "oma",
    "qcp",
    "rm",
    "tak",
    "tta",
    "voc",
    "w64",
    "wav",
    "wv",
    "xwma",
)

# Frames one after the other, without time stamps: those that libavformat makes up for them are
# wrong after a change of rate, so there samples are counted.
WITHOUT_TIME_STAMPS = frozenset({"aac", "ac3", "amr", "dts", "eac3", "gsm", "loas", "mp3"})

# The gateway is plain HTTP on loopback; nothing else may be opened, whatever a file says.
# What fills the receive buffer when ffmpeg has seen enough was fetched for nothing.
INPUT_OPTIONS = {
    "protocol_whitelist": "http,tcp",
    "format_whitelist": ",".join(ALLOWED_DEMUXERS),
    "recv_buffer_size": "65536",
}


def find_ffmpeg(ffmpeg_path: str | None = None) -> str:
    """Return the ffmpeg binary: the one given, else the one on PATH, else imageio-ffmpeg's.

    Raises:
        EnvironmentFaultError: there is none.
    """
    if ffmpeg_path is not None:
        found = shutil.which(ffmpeg_path)
        if found is None:
            raise EnvironmentFaultError(
                f"{ffmpeg_path} is not an ffmpeg binary; see LONGFORM_FFMPEG"
            )
        return found
    if (found := shutil.which("ffmpeg")) is not None:
        return found
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EnvironmentFaultError(
            "no ffmpeg: install it, or set LONGFORM_FFMPEG to its path"
        ) from error


def whole_command(binary: str, url: str, media: Media, max_duration_sec: float) -> list[str]:
    """Return the arguments that decode an audio stream from its first sample to its end."""
    filters = [*_one_channel(media), _resampler(media)]
    if media.container not in WITHOUT_TIME_STAMPS:
        filters.insert(0, _follow_time_stamps(media))
    output = {"t": f"{max_duration_sec:.3f}", "af": ",".join(filters)}
    return _command(binary, url, media.audio_stream, {}, output)


def window_seek_sec(span: Span) -> int:
    """Return the second from which a window's time stamps count."""
    return max(0, span.start_sample // SAMPLE_RATE_HZ - PREROLL_SEC)


def window_command(
    binary: str, url: str, media: Media, span: Span, *, open_ended: bool
) -> list[str]:
    """Return the arguments that decode exactly `span`, or from its start to the end.

    ffmpeg seeks early, to a whole second. What it finds there may lack a head of up to
    34 ms (ffmpeg 9, AAC), so the resampler starts another whole second later: at whole
    seconds its phase is that of a pass from the start, and the samples are the same.
    The cut at the window's own start is by time stamp, after the resampler.
    """
    seek_sec = window_seek_sec(span)
    before: dict[str, Any] = {"ss": seek_sec} if seek_sec else {}
    start_sample = span.start_sample - seek_sec * SAMPLE_RATE_HZ
    filters = [
        *([f"atrim=start={SETTLE_SEC}"] if seek_sec else []),
        _follow_time_stamps(media),
        *_one_channel(media),
        _resampler(media),
    ]
    after: dict[str, Any] = {"ss": _exact_sec(start_sample), "af": ",".join(filters)}
    if not open_ended:
        after["t"] = _exact_sec(span.num_samples)
    return _command(binary, url, media.audio_stream, before, after)


def _exact_sec(samples: int) -> str:
    # A sample is 62.5 us: seven digits say exactly which one.
    return f"{samples / SAMPLE_RATE_HZ:.7f}"


def _jitter_sec(media: Media) -> float:
    return WAVERING_SEC.get(media.codec, JITTER_SEC)


def _resampler(media: Media) -> str:
    if media.container in WITHOUT_TIME_STAMPS:
        return f"aresample={SAMPLE_RATE_HZ}"
    return f"aresample={SAMPLE_RATE_HZ}:async=1:min_hard_comp={_jitter_sec(media)}"


def _one_channel(media: Media) -> list[str]:
    return [] if media.channel is None else [f"pan=mono|c0=c{media.channel}"]


def _follow_time_stamps(media: Media) -> str:
    """Return a filter that closes impossible jumps, and tells of every gap on stderr.

    `print` writes two lines per event, in seconds: where, and by how much time stamps jump;
    at the first sample the jump is 0. The expression runs once a frame, and once more at the
    end of the audio with a time that means nothing.
    Variables: 0 the time stamp that is due, 1 what closed jumps have added up to, 2 the jump,
    3 the time stamp that is given out.
    """
    steps = (
        "if(eq(N,0),print(PTS/SR,16)*0+print(0,16)*0+st(0,PTS))*0",
        "st(2,PTS+ld(1)-ld(0))*0",
        f"if(gt(abs(ld(2)),{_jitter_sec(media)}*SR),print(ld(0)/SR,16)*0+print(ld(2)/SR,16)*0)",
        f"if(gt(ld(2),{LONGEST_GAP_SEC}*SR)+lt(ld(2),-{BACKWARDS_SEC}*SR),st(1,ld(1)-ld(2)))*0",
        "st(3,PTS+ld(1))*0",
        "st(0,ld(3)+S)*0",
        "ld(3)",
    )
    return "asetpts=" + "+".join(steps).replace(",", r"\,")


def _command(
    binary: str, url: str, audio_stream: int, before: dict[str, Any], after: dict[str, Any]
) -> list[str]:
    stream = ffmpeg.input(url, **INPUT_OPTIONS, err_detect="crccheck", threads=1, **before)[
        f"a:{audio_stream}"
    ]
    output = ffmpeg.output(
        stream,
        "pipe:1",
        format="s16le",
        acodec="pcm_s16le",
        ac=1,
        ar=SAMPLE_RATE_HZ,
        vn=None,
        sn=None,
        dn=None,
        flush_packets=0,  # whole buffers: a write per packet would wake us 100 times a second
        **after,
    ).global_args("-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+error")
    # Formats with resets (ts): ffmpeg would close gaps of over 10 s, which were lost audio.
    output = output.global_args("-dts_delta_threshold", str(LONGEST_GAP_SEC))
    arguments: list[str] = output.compile(cmd=binary)
    return arguments
