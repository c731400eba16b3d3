"""Markdown from parts that others have written: names, addresses and speech stay plain text."""

import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

_SIGNS = re.compile(r"([\\`*_\[\]<>|#~!&$])")
_BAR = re.compile(r"(?<!\\)\|")  # that no backslash stands before, in code as well
_LINKED = ("http", "https")


def plain(text: str) -> str:
    """Return text as markdown that shows it as it is, in one line."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return text in one line as a code span, whatever backticks it holds."""
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def link(address: str, label: str | None = None) -> str:
    """Return a link where a browser can follow the address, else the address as code."""
    if urlsplit(address).scheme not in _LINKED:
        return code(address)
    return f"[{plain(label or address)}](<{quote(address, safe='/:?&=%#@+,;~!$*')}>)"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; its cells are markdown already, but for bars, which would end them."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(_BAR.sub(r"\|", cell) for cell in line) + " |" for line in lines
    )


def folded(title: str, body: str) -> str:
    """Return a part that opens when its title is clicked."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
