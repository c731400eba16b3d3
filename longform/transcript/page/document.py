"""The page as one HTML document: template, style and script put together under a strict policy."""

import gzip
import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files as package_files
from typing import Any
from urllib.parse import quote, urlsplit

from longform.net.policy import scheme_of
from longform.transcript.output import TranscribeOutput
from longform.transcript.page.contents import blocks, doubtful, figures, headline, provenance
from longform.transcript.page.page_data import page_data

_SCRIPTS = ("1_data.js", "2_transcript.js", "3_waveform.js", "4_search.js", "5_player.js")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file that can be saved from the page."""

    format: str
    name: str
    mime: str
    content: str


def render_page(output: TranscribeOutput, downloads: Sequence[PageFile]) -> str:
    """Return the whole document. It asks for nothing but the recording, where that is linked."""
    style, script = _style(), _script()
    media = output.page.media
    href = _href(output)
    return str(
        _template().render(
            name=output.provenance.source_name,
            policy=_policy(style, script, href),
            style=style,
            script=script,
            data=_raw(page_data(output)),
            peaks=b64encode(output.page.peaks).decode(),
            media=media,
            href=href,
            recording=b64encode(media.content).decode(),
            duration_sec=f"{output.input_duration_sec:.3f}",
            files=[_packed(file) for file in downloads],
            headline=headline(output),
            alerts=output.warnings,
            blocks=blocks(output),
            doubtful=doubtful(output),
            figures=figures(output),
            provenance=provenance(output),
            parameters=_changed_parameters(output),
        )
    )


def _href(output: TranscribeOutput) -> str:
    """Return the link to the recording as seen from the page's own place."""
    href = output.page.media.href
    if not href or scheme_of(href):
        return href
    own = next((file for file in output.files if file.endswith(".html")), "")
    if not own or scheme_of(own):
        return ""
    return quote(os.path.relpath(href, os.path.dirname(own)))  # noqa: PTH120  (pathlib has no `..`)


def _changed_parameters(output: TranscribeOutput) -> str:
    changed = output.provenance.parameters
    text: str = changed.model_dump_json(exclude_defaults=True, indent=2)
    return "" if text == "{}" else text


def _packed(file: PageFile) -> PageFile:
    # mtime 0: the same transcript gives the same page.
    packed = gzip.compress(file.content.encode(), compresslevel=6, mtime=0)
    return PageFile(file.format, file.name, file.mime, b64encode(packed).decode())


def _policy(style: str, script: str, href: str) -> str:
    parts = urlsplit(href)
    origin = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    rules = (
        "default-src 'none'",
        f"script-src '{_source_hash(script)}'",
        f"style-src '{_source_hash(style)}'",
        f"media-src blob: file: 'self'{origin}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _source_hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _raw(text: str) -> Any:
    """Mark text that is safe where it goes: our own style and script, and escaped JSON."""
    from markupsafe import Markup

    return Markup(text)


@cache
def _style() -> Any:
    return _raw(_part("page.css"))


@cache
def _script() -> Any:
    # One function around all: nothing of it is visible to what a reader pastes into a console.
    parts = "\n".join(_part(f"script/{name}") for name in _SCRIPTS)
    return _raw(f'"use strict";\n(() => {{\n{parts}\n}})();\n')


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_part("page.html"))


def _part(name: str) -> str:
    return (package_files("longform.transcript.page") / name).read_text(encoding="utf-8")
