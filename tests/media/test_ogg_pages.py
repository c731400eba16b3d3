"""Chains of Ogg streams are told from single ones, and from streams side by side."""

from pathlib import Path

import pytest

from longform.media.probe.probe import CHAINED_WARNING, EDGE_BYTES, is_chained, probe
from longform.media.sources.open import open_source
from longform.net.policy import SourcePolicy


def page(serial: int, flags: int = 0, length: int = 100) -> bytes:
    """Return a page of a stream with that serial number."""
    return b"OggS\0" + bytes([flags]) + bytes(8) + serial.to_bytes(4, "little") + bytes(length)


ONE = page(1, 2) + page(1) * 3 + page(1, 4)
LONG = page(1, 2) + page(1, length=EDGE_BYTES) + page(1, length=EDGE_BYTES)
FILES = {
    "one stream": (ONE, False),
    "one long stream": (LONG, False),
    "two side by side": (page(1, 2) + page(2, 2) + page(1) + page(2), False),
    "a chain": (ONE + page(2, 2) + page(2), True),
    "a chain of equal serials": (ONE + ONE, True),
    "a long chain": (LONG + page(2, 2) + page(2, length=EDGE_BYTES) + page(2), True),
    "no page at all": (b"nothing", False),
}


@pytest.mark.parametrize("name", FILES)
async def test_chains_are_recognised(name: str) -> None:
    """What begins after another stream went on is a chain, wherever in the file it shows."""
    content, expected = FILES[name]

    async def read(start: int, end: int) -> bytes:
        return content[start:end]

    assert await is_chained(read, len(content)) is expected


async def test_a_real_chain_carries_a_warning(
    media_dir: Path, tmp_path: Path, policy: SourcePolicy
) -> None:
    """Two recordings one behind the other are read, and it is said what may be lost."""
    single = (media_dir / "fleurs_fr.ogg").read_bytes()
    other = (media_dir / "sonnet1_head_vorbis.ogg").read_bytes()
    for content, expected in ((single, ()), (single + other, (CHAINED_WARNING,))):
        path = tmp_path / "talk.ogg"
        path.write_bytes(content)
        source = await open_source(str(path), policy, tmp_path)
        assert (await probe(source, policy)).warnings == expected
