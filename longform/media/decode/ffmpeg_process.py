"""A running ffmpeg: its audio, its complaints, the gaps it met, and how it ended."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from longform.audio import PCM_BYTES_PER_SAMPLE, Pcm
from longform.media.decode.ffmpeg_args import BLOCK_SAMPLES
from longform.media.decode.sandbox import ReadProgress, StalledError, Watchdog, child

MESSAGES_KEPT = 20  # lines of ffmpeg's complaints
GAPS_KEPT = 100_000  # a recording of a day that loses a packet every second
LOOP_ROUNDS = 4  # of the event loop: poll, read, wake up, parse
BLOCK_BYTES = BLOCK_SAMPLES * PCM_BYTES_PER_SAMPLE

_NUMBER = re.compile(rb"\[error\] (-?\d+\.\d+)$")


@dataclass(frozen=True, slots=True)
class TimestampGap:
    """Time stamps went from `at_sec` on by `by_sec` (negative: back); 0 at the first sample."""

    at_sec: float
    by_sec: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of ffmpeg ended: its exit code (negative: a signal) and its complaints."""

    exit_code: int
    messages: tuple[str, ...]
    num_messages: int
    stalled: bool = False

    @property
    def last_message(self) -> str:
        """The last complaint, or how it ended where there was none."""
        if self.stalled:
            return "the decoder hung"
        if self.exit_code < 0:
            return f"the decoder crashed (signal {-self.exit_code})"
        return self.messages[-1] if self.messages else f"exit code {self.exit_code}"


class Decoding:
    """A running ffmpeg. Leaving the context ends it, however it is left."""

    def __init__(self, command: Sequence[str], progress: ReadProgress | None = None) -> None:
        self._command = command
        self._watchdog = Watchdog(progress)
        self._stack = AsyncExitStack()
        self._messages: deque[str] = deque(maxlen=MESSAGES_KEPT)
        self._numbers: list[float] = []
        self._stalled = False
        self._first_time = asyncio.Event()
        self.num_messages = 0

    async def __aenter__(self) -> Self:
        self._process = await self._stack.enter_async_context(child(self._command))
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self._stack.aclose()

    @property
    def gaps(self) -> list[TimestampGap]:
        """Where time stamps jumped, in order, so far; the first of each filter graph is 0."""
        pairs = zip(self._numbers[::2], self._numbers[1::2], strict=False)
        return [TimestampGap(at_sec, by_sec) for at_sec, by_sec in pairs]

    async def first_time_sec(self) -> float | None:
        """Return the time stamp of the first sample; None where there is none."""
        await self._first_time.wait()
        return self.gaps[0].at_sec if self.gaps else None

    async def catch_up(self) -> None:
        """Let what ffmpeg said before it wrote the last block be read.

        Both pipes are read by one event loop: what lies in one is taken in its next rounds.
        """
        for _ in range(LOOP_ROUNDS):
            await asyncio.sleep(0)

    async def blocks(self) -> AsyncGenerator[Pcm, None]:
        """Yield the decoded audio; ffmpeg waits while the consumer does not ask for more."""
        assert self._process.stdout is not None
        data = bytearray()
        while True:
            try:
                part = await self._watchdog.read(self._process.stdout)
            except StalledError:
                self._stalled = True
                self._process.kill()
                part = b""
            data += part
            whole = len(data) - len(data) % PCM_BYTES_PER_SAMPLE
            if whole and (whole >= BLOCK_BYTES or not part):
                whole = min(whole, BLOCK_BYTES)
                yield np.frombuffer(bytes(data[:whole]), dtype="<i2")
                del data[:whole]
            elif not part:
                return

    async def outcome(self) -> Outcome:
        """Wait for the end and return how it came. Only after the last block."""
        try:
            async with asyncio.timeout(2 * self._watchdog.timeout_sec):
                await asyncio.shield(self._listening)
                exit_code = await self._process.wait()
        except TimeoutError:
            self._stalled, exit_code = True, -9
        return Outcome(exit_code, tuple(self._messages), self.num_messages, self._stalled)

    async def _listen(self) -> None:
        """Take ffmpeg's complaints as they come: a full pipe would stop it."""
        assert self._process.stderr is not None
        rest = b""
        while part := await self._process.stderr.read(4_096):
            *lines, rest = (rest + part).split(b"\n")
            self._keep(lines)
            rest = rest[-1_024:]
        self._keep([rest])
        self._first_time.set()

    def _keep(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            if (number := _NUMBER.search(line.strip())) is not None:
                if len(self._numbers) < 2 * GAPS_KEPT:
                    self._numbers.append(float(number[1]))
                if len(self._numbers) == 2:
                    self._first_time.set()
            elif text := line.decode(errors="replace").strip():
                self.num_messages += 1
                self._messages.append(text[:300])
