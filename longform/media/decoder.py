"""ffmpeg as a child process: which binary, which arguments, and how it is run and ended.

It needs no signal at its parent's death: both its input (the gateway) and its output (a
pipe) end with this process, and ffmpeg ends with either of them.
"""

import asyncio
import resource
import shutil
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import ffmpeg
import numpy as np

from longform.chunking.micro_chunk import Pcm
from longform.errors import EnvironmentFaultError
from longform.media.formats import INPUT_OPTIONS
from longform.timeline import PCM_BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Span

BLOCK_SAMPLES = 65_536  # samples per yielded block: about 4 s
MEMORY_LIMIT_BYTES = 4 * 2**30  # bytes of address space; ffmpeg uses well under 1 GiB
MESSAGES_KEPT = 20  # lines of ffmpeg's complaints
PREROLL_SEC = 3  # seconds decoded before a window, so that the decoder's state has settled
SETTLE_SEC = 1  # seconds of that which never reach the resampler


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of ffmpeg ended: its exit code (negative: a signal) and its complaints."""

    exit_code: int
    messages: tuple[str, ...]
    num_messages: int

    @property
    def last_message(self) -> str:
        """The last complaint, or the exit code where there was none."""
        return self.messages[-1] if self.messages else f"exit code {self.exit_code}"


def find_ffmpeg(ffmpeg_path: str | None = None) -> str:
    """Return the ffmpeg binary: the one given, else the one on PATH, else imageio-ffmpeg's.

    Raises:
        EnvironmentFaultError: there is none.
    """
    if ffmpeg_path is not None:
        found = shutil.which(ffmpeg_path)
        if found is None:
            raise EnvironmentFaultError(f"{ffmpeg_path} is no ffmpeg binary; see LONGFORM_FFMPEG")
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


def whole_command(binary: str, url: str, audio_stream: int, max_duration_sec: float) -> list[str]:
    """Return the arguments that decode an audio stream from its start to its end."""
    return _command(binary, url, audio_stream, {}, {"t": f"{max_duration_sec:.3f}"})


def window_command(
    binary: str, url: str, audio_stream: int, span: Span, *, open_ended: bool
) -> list[str]:
    """Return the arguments that decode exactly `span`, or from its start to the end.

    ffmpeg seeks early, to a whole second. What it finds there may lack a head of up to
    34 ms (ffmpeg 9, AAC), so the resampler starts another whole second later: at whole
    seconds its phase is that of a pass from the start, and the samples are the same.
    The cut at the window's own start is by time stamp, after the resampler.
    """
    seek_sec = max(0, span.start_sample // SAMPLE_RATE_HZ - PREROLL_SEC)
    before: dict[str, Any] = {"ss": seek_sec} if seek_sec else {}
    start_sample = span.start_sample - seek_sec * SAMPLE_RATE_HZ
    after: dict[str, Any] = {"ss": _exact_sec(start_sample)}
    if seek_sec:
        after["af"] = f"atrim=start={SETTLE_SEC}"
    if not open_ended:
        after["t"] = _exact_sec(span.num_samples)
    return _command(binary, url, audio_stream, before, after)


def _exact_sec(samples: int) -> str:
    # A sample is 62.5 us: seven digits say exactly which one.
    return f"{samples / SAMPLE_RATE_HZ:.7f}"


def _command(
    binary: str, url: str, audio_stream: int, before: dict[str, Any], after: dict[str, Any]
) -> list[str]:
    stream = ffmpeg.input(url, **INPUT_OPTIONS, threads=1, **before)[f"a:{audio_stream}"]
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
    arguments: list[str] = output.compile(cmd=binary)
    return arguments


class Decoding:
    """A running ffmpeg. Leaving the context ends it, however it is left."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._messages: deque[str] = deque(maxlen=MESSAGES_KEPT)
        self._num_messages = 0

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=BLOCK_SAMPLES * PCM_BYTES_PER_SAMPLE,
                start_new_session=True,  # a Ctrl-C is for us to handle
            )
        except OSError as error:
            raise EnvironmentFaultError(
                f"ffmpeg cannot be started: {error.strerror}; see LONGFORM_FFMPEG"
            ) from error
        self._limit_memory()
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.returncode is None:
            self._kill()
        await asyncio.shield(asyncio.ensure_future(self._reap()))

    async def blocks(self) -> AsyncGenerator[Pcm, None]:
        """Yield the decoded audio; ffmpeg waits while the consumer does not ask for more."""
        assert self._process.stdout is not None
        more = True
        while more:
            try:
                data = await self._process.stdout.readexactly(BLOCK_SAMPLES * PCM_BYTES_PER_SAMPLE)
            except asyncio.IncompleteReadError as end:
                data, more = end.partial, False
            whole = len(data) - len(data) % PCM_BYTES_PER_SAMPLE
            if whole:
                yield np.frombuffer(data[:whole], dtype="<i2")

    async def outcome(self) -> Outcome:
        """Wait for the end and return how it came. Only after the last block."""
        await self._listening
        exit_code = await self._process.wait()
        return Outcome(exit_code, tuple(self._messages), self._num_messages)

    async def _listen(self) -> None:
        """Take ffmpeg's complaints as they come: a full pipe would stop it."""
        assert self._process.stderr is not None
        rest = b""
        while part := await self._process.stderr.read(4_096):
            *lines, rest = (rest + part[-4_096:]).split(b"\n")
            self._keep(lines)
            rest = rest[-1_024:]
        self._keep([rest])

    def _keep(self, lines: Sequence[bytes]) -> None:
        texts = [line.decode(errors="replace").strip() for line in lines]
        self._num_messages += sum(map(bool, texts))
        self._messages.extend(text[:300] for text in texts if text)

    def _limit_memory(self) -> None:
        if hasattr(resource, "prlimit"):  # Linux
            limits = (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES)
            # It may have ended already, or this machine may forbid it.
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(self._process.pid, resource.RLIMIT_AS, limits)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _reap(self) -> None:
        # Its pipes must be emptied, or asyncio would wait for their end for ever.
        assert self._process.stdout is not None
        while await self._process.stdout.read(BLOCK_SAMPLES):
            pass
        await self._listening
        await self._process.wait()
