"""Ways to damage a file at random; the same dice give the same damage."""

import random
import struct
from collections.abc import Callable, Sequence

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]

HEADER_BYTES = 600  # bytes; where headers have most of their fields
# What sizes, counts and times are when they are wrong.
NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def flip_bits(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Turn up to 64 bits around, anywhere."""
    damaged = bytearray(content)
    for _ in range(dice.randint(1, 64)):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def spoil_fields(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Write edge values over numbers of 1 to 8 bytes in the header, of either byte order."""
    damaged = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(min(HEADER_BYTES, len(damaged)))
        order, kind = dice.choice("<>"), dice.choice("BHIQ")
        size = struct.calcsize(kind)
        value = dice.choice(NUMBERS) & (256**size - 1)
        damaged[place : place + size] = struct.pack(order + kind, value)
    return bytes(damaged)


def spoil_names(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Put a four-letter name of another file, or of this one, over some bytes."""
    source = dice.choice([content, *others])
    start, place = dice.randrange(max(1, len(source) - 4)), dice.randrange(len(content))
    return content[:place] + source[start : start + 4] + content[place + 4 :]


def delete(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Leave a stretch out."""
    start, end = _stretch(content, dice)
    return content[:start] + content[end:]


def double(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Repeat a stretch, up to 20 times."""
    start, end = _stretch(content, dice)
    return content[:end] + content[start:end] * dice.randint(1, 20) + content[end:]


def blank(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Fill a stretch with one byte."""
    start, end = _stretch(content, dice)
    return content[:start] + bytes([dice.choice([0, 0xFF, 0x20])]) * (end - start) + content[end:]


def scramble(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Fill a stretch with noise."""
    start, end = _stretch(content, dice)
    return content[:start] + dice.randbytes(end - start) + content[end:]


def swap(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Let two stretches change places."""
    a, b, c = sorted(dice.randrange(len(content)) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def splice(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Go on with another file, from somewhere in it."""
    other = dice.choice(others)
    return content[: dice.randrange(1, len(content))] + other[dice.randrange(len(other)) :]


def insert(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Put the beginning of another file into the middle."""
    other, place = dice.choice(others), dice.randrange(len(content))
    return content[:place] + other[: dice.randint(1, 4_096)] + content[place:]


def truncate(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """End early."""
    return content[: dice.randrange(1, len(content))]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    spoil_fields,
    spoil_names,
    delete,
    double,
    blank,
    scramble,
    swap,
    splice,
    insert,
    truncate,
)


def mutant(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """Return a file with one to three kinds of damage."""
    for mutation in dice.choices(MUTATIONS, k=dice.choice((1, 1, 2, 3))):
        content = mutation(content, dice, others) or b"\0"
    return content


def _stretch(content: bytes, dice: random.Random) -> tuple[int, int]:
    """Return where a stretch begins and ends: mostly a short one."""
    length = min(len(content), 2 ** dice.randint(0, 15))
    start = dice.randrange(max(1, len(content) - length + 1))
    return start, start + dice.randint(1, length)
