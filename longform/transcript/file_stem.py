"""File names that every system can hold, from the names of recordings."""

import re
import unicodedata
from hashlib import sha256

MAX_STEM_BYTES = 120  # of UTF-8; with a mark and a suffix well under the 255 of most systems
MARK_CHARACTERS = 8
FALLBACK_STEM = "recording"

_SUFFIX = re.compile(r"(?<=.)\.[A-Za-z0-9]{1,5}$", re.DOTALL)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # on Windows; Linux and macOS forbid less
# Controls, halves of characters, line separators, and marks that turn the reading direction.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|\s|$)", re.IGNORECASE
)


def file_stem(source_name: str) -> str:
    """Return the stem of a recording's files: its name without its suffix, made safe.

    Safe on Linux, macOS and Windows; at most `MAX_STEM_BYTES` even with a mark; never empty.
    """
    name = unicodedata.normalize("NFC", _SUFFIX.sub("", source_name))
    name = _TURNING.sub("", _FORBIDDEN.sub("_", name))
    name = "".join("_" if unicodedata.category(c) in _UNPRINTABLE else c for c in name)
    name = " ".join(name.split()).strip(" .")
    name = f"_{name}" if _DEVICES.match(name) or name.startswith("-") else name
    room = MAX_STEM_BYTES - MARK_CHARACTERS - 1
    return name.encode()[:room].decode(errors="ignore").rstrip(" .") or FALLBACK_STEM


def marked_stem(stem: str, fingerprint: str) -> str:
    """Return a stem that tells a recording from others of its name: 8 hex of its fingerprint."""
    is_hex = re.fullmatch(rf"[0-9a-f]{{{MARK_CHARACTERS},}}", fingerprint)
    digits = fingerprint if is_hex else sha256(fingerprint.encode()).hexdigest()
    return f"{stem}-{digits[:MARK_CHARACTERS]}"
