"""Which of ffmpeg's demuxers may see a recording.

No playlist or manifest (hls, dash, concat, sdp, imf): those make ffmpeg open other
addresses and files. No images and no raw formats that would take any bytes for sound.
Every name exists in ffmpeg 5.1 and 9.0.
"""

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
