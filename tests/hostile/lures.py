"""Files that say: look elsewhere. Playlists, manifests and references under innocent names.

`{p}` is the port of the trap, `{f}` the path of the secret; both become bytes of the file.
"""

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.wav_file import chunk, tone, wav

SECONDS = 1  # of quiet audio in those that hold some

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_HTTP = "http://127.0.0.1:{p}/a.ts"

# No audio of their own: a reader that follows them ends at the trap or at the secret.
TEXTS: Mapping[str, str] = {
    "hls of files.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{f}\n#EXT-X-ENDLIST\n",
    "hls of file urls.mp3": "#EXTM3U\n#EXTINF:9,\nfile://{f}\n#EXT-X-ENDLIST\n",
    "hls of relative files.wav": "#EXTM3U\n#EXTINF:9,\nsecret.wav\n#EXT-X-ENDLIST\n",
    "hls of urls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{_HTTP}\n#EXT-X-ENDLIST\n",
    "hls with a key.mp3": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:{p}/k"\n'
    "#EXTINF:9,\n{f}\n",
    "hls with a map.m4a": '#EXTM3U\n#EXT-X-MAP:URI="file://{f}"\n#EXTINF:9,\n' + _HTTP + "\n",
    "hls of variants.wav": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{_HTTP}\n",
    "hls by concat.mp4": "#EXTM3U\n#EXTINF:9,\nconcat:{f}|" + _HTTP + "\n",
    "hls by crypto.mp4": "#EXTM3U\n#EXTINF:9,\ncrypto+file://{f}\n",
    "hls after a byte order mark.mp3": "\ufeff#EXTM3U\n#EXTINF:9,\n{f}\n",
    "hls of subfiles.mp4": "#EXTM3U\n#EXTINF:9,\nsubfile,,start,0,end,0,,:{f}\n",
    "dash of urls.mp4": _XML + '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="audio/mp4">'
    '<Representation id="a" bandwidth="1"><BaseURL>' + _HTTP + "</BaseURL></Representation>"
    "</AdaptationSet></Period></MPD>",
    "dash of files.mp3": _XML + '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<BaseURL>file://{f}</BaseURL><Period/></MPD>",
    "dash with an entity.wav": _XML + '<!DOCTYPE x [<!ENTITY e SYSTEM "file://{f}">]>'
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>&e;</BaseURL></MPD>',
    "ffconcat of files.mp4": "ffconcat version 1.0\nfile '{f}'\n",
    "ffconcat of urls.mp3": f"ffconcat version 1.0\nfile '{_HTTP}'\n",
    "ffconcat with options.wav": "ffconcat version 1.0\nfile '{f}'\noption safe 0\n",
    "sdp.wav": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio {p} RTP/AVP 0\n",
    "sdp of rtsp.mp4": "v=0\ns=x\na=control:rtsp://127.0.0.1:{p}/a\nm=audio 0 RTP/AVP 97\n",
    "m3u.mp3": f"{_HTTP}\n{{f}}\n",
    "extended m3u.mp3": "#EXTM3U\n#EXTINF:123,Talk\n{f}\n",
    "pls.mp3": f"[playlist]\nNumberOfEntries=1\nFile1={_HTTP}\n",
    "xspf.mp3": _XML + '<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track>'
    "<location>file://{f}</location></track></trackList></playlist>",
    "smil.mp4": '<smil><body><audio src="' + _HTTP + '"/><audio src="file://{f}"/></body></smil>',
    "asx.wma": '<asx version="3.0"><entry><ref href="' + _HTTP + '"/></entry></asx>',
    "asf reference.wma": f"[Reference]\nRef1={_HTTP}\nRef2=file://{{f}}\n",
    "ram.rm": f"{_HTTP}\nfile://{{f}}\n",
    "wpl.mp3": '<?wpl version="1.0"?><smil><body><seq><media src="{f}"/></seq></body></smil>',
    "podcast.mp3": _XML + '<rss version="2.0"><channel><item><enclosure url="' + _HTTP + '"/>'
    "</item></channel></rss>",
    "imf composition.mxf": _XML + '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/'
    '2067-3/2016"><Id>urn:uuid:0</Id><EditRate>24 1</EditRate></CompositionPlaylist>',
    "imf asset map.mxf": _XML + '<AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM">'
    "<AssetList><Asset><ChunkList><Chunk><Path>{f}</Path></Chunk></ChunkList></Asset></AssetList>"
    "</AssetMap>",
    "cue sheet.flac": 'FILE "{f}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "edl.mp4": "# mpv EDL v0\n{f},0,9\n",
    "avisynth.avi": 'WavSource("{f}")\n',
    "filter graph.mp3": "amovie={f}\n",
    "metadata.m4a": ";FFMETADATA1\ntitle=file://{f}\n[CHAPTER]\nSTART=0\nEND=1\n",
    "quicktime link.mov": '<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-'
    'link"?><embed src="' + _HTTP + '" autoplay="true"/>',
    "rtsptext.mov": "RTSPtextRTSP://127.0.0.1:{p}/a\n",
    "smooth manifest.mp4": _XML + '<SmoothStreamingMedia MajorVersion="2"><StreamIndex '
    'Type="audio" Url="' + _HTTP + '"/></SmoothStreamingMedia>',
    "html player.mp4": '<html><audio autoplay src="' + _HTTP + '"></audio></html>',
    "svg.mp4": '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="file://{f}"/>'
    "</svg>",
    "shell script.mp3": "#!/bin/sh\ncat {f}\n",
    "pickle.wav": "cposix\nsystem\n(S'cat {f}'\ntR.",
    "subtitle index.mp4": "# VobSub index file, v7\nid: en, index: 0\nfile: {f}\n",
}


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box of an MP4 or QuickTime file (ISO/IEC 14496-12, 4.2)."""
    joined = b"".join(content)
    return struct.pack(">I", 8 + len(joined)) + kind + joined


def made_lures(folder: Path, ffmpeg: str, port: int, secret: Path) -> dict[str, bytes]:
    """Return files with quiet audio of their own, and with references to elsewhere beside it."""
    url = f"http://127.0.0.1:{port}/a.mp3"
    path = str(secret).encode()
    quiet = wav(tone(16_000 * SECONDS))
    m4a = _encoded(folder, ffmpeg, quiet, "plain.mp4", "-c:a", "aac", "-movflags", "+faststart")
    mp3 = _encoded(folder, ffmpeg, quiet, "plain.mp3", "-id3v2_version", "0")
    attached = (
        "-attach",
        str(_playlist(folder, secret)),
        "-metadata:s:t",
        "mimetype=audio/mpegurl",
    )
    return {
        "external data by url.mp4": _with_dref(m4a, box(b"url ", bytes(4), url.encode() + b"\0")),
        "external data by file url.mov": _with_dref(
            m4a, box(b"url ", bytes(4), b"file://" + path + b"\0")
        ),
        "external data by alias.mov": _with_dref(m4a, box(b"alis", bytes(4), _alias(path))),
        "external data by name.mov": _with_dref(
            m4a, box(b"urn ", bytes(4), b"secret\0" + path + b"\0")
        ),
        "reference movie.mov": box(b"ftyp", b"qt  " + bytes(4) + b"qt  ")
        + box(
            b"moov",
            box(
                b"rmra",
                box(
                    b"rmda",
                    box(b"rdrf", bytes(4) + b"url " + struct.pack(">I", len(url)) + url.encode()),
                ),
            ),
        ),
        "attachment.mkv": _encoded(
            folder, ffmpeg, quiet, "attached.mkv", "-c:a", "flac", *attached
        ),
        "linked segment.mkv": _encoded(
            folder,
            ffmpeg,
            quiet,
            "linked.mkv",
            "-c:a",
            "flac",
            "-metadata",
            f"NEXT_FILENAME={secret}",
        ),
        "linked picture.mp3": _id3(b"APIC", b"\0-->\0\x03\0" + url.encode()) + mp3,
        "web links.mp3": _id3(b"WOAF", url.encode()) + _id3(b"WXXX", b"\0\0file://" + path) + mp3,
        "linked information.mp3": _id3(b"LINK", b"APIC" + url.encode() + b"\0") + mp3,
        "playlist before audio.mp3": b"#EXTM3U\n#EXTINF:9,\n" + path + b"\n" + mp3,
        "playlist in a chunk.wav": wav(
            tone(16_000 * SECONDS), extra=chunk(b"plst", b"#EXTM3U\n" + path + b"\n")
        ),
        "cue and labels.wav": wav(
            tone(16_000 * SECONDS), extra=chunk(b"LIST", b"adtlfile" + bytes(8) + path)
        ),
        "broadcast link.wav": wav(
            tone(16_000 * SECONDS),
            extra=chunk(b"link", f"<LINK><FILE><NAME>{secret}</NAME></FILE></LINK>".encode()),
        ),
        "playlist as brand.mp4": box(b"ftyp", b"#EXTM3U\n" + path + b"\n") + m4a,
        "operational atom.mxf": _encoded(
            folder,
            ffmpeg,
            quiet,
            "atom.mxf",
            "-c:a",
            "pcm_s16le",
            "-ar",
            "48000",
            "-f",
            "mxf_opatom",
        ),
        "titled url.ogg": _encoded(
            folder, ffmpeg, quiet, "titled.ogg", "-c:a", "libvorbis", "-metadata", f"LOCATION={url}"
        ),
        "reference.avi": chunk(b"RIFF", b"AVI LIST" + struct.pack("<I", 4) + b"hdrl" + path),
        "playlist in tags.flac": _encoded(
            folder,
            ffmpeg,
            quiet,
            "tags.flac",
            "-c:a",
            "flac",
            "-metadata",
            f"CUESHEET=FILE {secret}",
        ),
    }


def _encoded(folder: Path, ffmpeg: str, content: bytes, name: str, *arguments: str) -> bytes:
    source, path = folder / "quiet.wav", folder / name
    source.write_bytes(content)
    command = [ffmpeg, "-nostdin", "-v", "error", "-i", str(source), *arguments, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path.read_bytes()


def _playlist(folder: Path, secret: Path) -> Path:
    path = folder / "list.m3u8"
    path.write_text(f"#EXTM3U\n#EXTINF:9,\n{secret}\n")
    return path


def _id3(kind: bytes, content: bytes) -> bytes:
    """Return an ID3v2.3 tag with one frame."""
    frame = kind + struct.pack(">I", len(content)) + bytes(2) + content
    size = len(frame)
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + frame


def _alias(path: bytes) -> bytes:
    """Return a QuickTime alias record whose POSIX path (tag 18) is `path`."""
    head = bytes(4) + struct.pack(">HH", 0, 2) + bytes(142)
    return head + struct.pack(">HH", 18, len(path)) + path + bytes(len(path) % 2) + b"\xff\xff\0\0"


def _with_dref(movie: bytes, reference: bytes) -> bytes:
    """Let the audio of a movie lie elsewhere, in a movie whose index is in front."""
    place = movie.index(b"dref") - 4
    old = movie[place : place + struct.unpack_from(">I", movie, place)[0]]
    new = box(b"dref", bytes(4), struct.pack(">I", 1), reference)
    grown = bytearray(movie.replace(old, new, 1))
    for kind in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        at = grown.index(kind) - 4
        size = struct.unpack_from(">I", grown, at)[0] + len(new) - len(old)
        struct.pack_into(">I", grown, at, size)
    return bytes(grown)
