"""One reading of a recording by ffmpeg, put on the recording's timeline, damage and all.

What is lost inside stays as silence, so that nothing behind it moves. In formats with time
stamps ffmpeg's resampler does that, and tells where. In those without (mp3, ADTS) a scan of
the packets tells how much is missing, and the silence is put in here.
"""

import json
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np

from longform.audio import SAMPLE_RATE_HZ, Pcm, to_samples, to_seconds
from longform.errors import DecodeInterruptedError, NotMediaError
from longform.media.decode.ffmpeg_args import (
    BLOCK_SAMPLES,
    INPUT_OPTIONS,
    JITTER_SEC,
    LONGEST_GAP_SEC,
    WITHOUT_TIME_STAMPS,
)
from longform.media.decode.ffmpeg_process import Decoding, Outcome, TimestampGap
from longform.media.decode.sandbox import run_script
from longform.media.gateway.gateway import Served
from longform.media.model import DamageReport, Recording

_SCRIPT = Path(__file__).with_name("damage_scan_script.py")

logger = logging.getLogger(__name__)

PAUSE_SEC = 0.5  # seconds; codecs that send nothing in silence leave shorter gaps than this
ATTEMPTS = 2  # the second tells an accident from a place that no decoder survives
SAME_PLACE_SAMPLES = SAMPLE_RATE_HZ  # two crashes closer than this have one cause
SCAN_CPU_SEC = 1_800  # seconds; a day of audio takes a quarter of an hour
SCAN_BYTES = 2**26  # bytes of findings
LAST_FRAME_SEC = 0.1  # seconds; a broken end shorter than this is how cut files end


def silent_blocks(num_samples: int) -> Iterator[Pcm]:
    """Yield silence: what a player plays where a recording has no audio."""
    for start in range(0, num_samples, BLOCK_SAMPLES):
        yield np.zeros(min(BLOCK_SAMPLES, num_samples - start), "<i2")


class Reading:
    """Audio from `first_sample` of the timeline on; `from_sample` is where ffmpeg's zero lies.

    `from_sample` None: ffmpeg's first sample is `first_sample`, whatever its time stamp.
    `end_sample` bounds the scan for damage; None: the end of the recording.
    Without a `damage` report to write to, audio that ends too soon is an error.
    """

    def __init__(
        self,
        recording: Recording,
        served: Served,
        command: Sequence[str],
        first_sample: int,
        *,
        from_sample: int | None = None,
        end_sample: int | None = None,
        damage: DamageReport | None = None,
    ) -> None:
        self._recording = recording
        self._served = served
        self._command = command
        self._first_sample = first_sample
        self._from_sample = from_sample
        self._end_sample = end_sample
        self._damage = damage
        self._counted = recording.media.container in WITHOUT_TIME_STAMPS
        self._insertions: list[tuple[int, int]] = []  # samples delivered before, samples lost
        self._scanned = False
        self.gave_up = ""  # why the decoder stopped before the end, if it did

    async def blocks(self) -> AsyncGenerator[Pcm, None]:
        """Yield the audio. A decoder that is interrupted is started again, once.

        Raises:
            RetryableError: the source could not be read, or the decoder was interrupted twice.
            NotMediaError: nothing can be decoded.
        """
        delivered, before, attempts = 0, 0, 0
        while attempts < ATTEMPTS:
            attempts += 1
            before, reached = delivered, 0
            async with Decoding(self._command, self._served) as decoding:
                async with aclosing(self._placed(decoding)) as blocks:
                    async for block in blocks:
                        known = min(len(block), max(0, before - reached))
                        reached += len(block)
                        if known < len(block):
                            delivered += len(block) - known
                            yield block[known:]
                outcome = await decoding.outcome()
            # First the gateway: whatever ffmpeg says, missing bytes are cause, not symptom.
            self._served.raise_for_failure()
            if outcome.exit_code == 0:
                self._log(outcome)
                return
            if outcome.stalled or (outcome.exit_code > 0 and not reached):
                break
        is_final = attempts == 1 or delivered <= before + SAME_PLACE_SAMPLES
        self._end_early(outcome, delivered, is_final=is_final)

    def _end_early(self, outcome: Outcome, delivered: int, *, is_final: bool) -> None:
        name = self._recording.source.name
        is_window = self._from_sample is not None
        if is_final and self._damage is not None and (delivered or is_window):
            self.gave_up = outcome.last_message
            return
        if outcome.stalled or (outcome.exit_code > 0 and not delivered):
            raise NotMediaError(f"{name} cannot be decoded: {outcome.last_message}")
        raise DecodeInterruptedError(
            f"ffmpeg ended early in {name}, after {to_seconds(delivered):.3f} s: "
            f"{outcome.last_message}"
        )

    async def _placed(self, decoding: Decoding) -> AsyncGenerator[Pcm, None]:
        """Yield what is decoded, with silence where audio begins late or is lost."""
        heard = 0  # samples that ffmpeg has delivered
        shift = 0  # samples of silence that were put in
        noted = 0  # gaps that were looked at
        insertions: list[tuple[int, int]] = []
        async with aclosing(decoding.blocks()) as blocks:
            async for block in blocks:
                if heard == 0:
                    shift = await self._late_by(decoding)
                    for silence in silent_blocks(shift):
                        yield silence
                await decoding.catch_up()
                if decoding.num_messages and not self._scanned:
                    await self._scan()
                    insertions = list(self._insertions)
                position = self._first_sample + shift + heard + len(block)
                noted = self._note_gaps(decoding, noted, position)
                for part in self._with_insertions(block, heard, insertions):
                    yield part
                heard += len(block)
        for at_sample, lost in insertions:
            if at_sample >= heard and lost > LAST_FRAME_SEC * SAMPLE_RATE_HZ:
                for silence in silent_blocks(lost):
                    yield silence

    async def _late_by(self, decoding: Decoding) -> int:
        if self._from_sample is None:
            return 0
        first_sec = await decoding.first_time_sec() or 0.0
        late_by = max(0, self._from_sample + to_samples(first_sec) - self._first_sample)
        if late_by > JITTER_SEC * SAMPLE_RATE_HZ:
            self._note(self._first_sample, self._first_sample + late_by, "no audio there")
        return late_by

    def _with_insertions(
        self, block: Pcm, heard: int, insertions: list[tuple[int, int]]
    ) -> Iterator[Pcm]:
        while insertions and insertions[0][0] < heard + len(block):
            at_sample, lost = insertions.pop(0)
            cut = max(0, at_sample - heard)
            if cut:
                yield block[:cut]
            yield from silent_blocks(lost)
            block, heard = block[cut:], heard + cut
        if len(block):
            yield block

    def _note_gaps(self, decoding: Decoding, noted: int, position: int) -> int:
        """Report the gaps that begin before `position`; return how many gaps are dealt with."""
        gaps = decoding.gaps
        while noted < len(gaps):
            gap = gaps[noted]
            zero = self._zero_sample(gaps)
            start = zero + to_samples(gap.at_sec)
            if gap.by_sec and start >= position:
                break
            self._note_gap(gap, start, disturbed=decoding.num_messages > 0)
            noted += 1
        return noted

    def _zero_sample(self, gaps: Sequence[TimestampGap]) -> int:
        if self._from_sample is not None:
            return self._from_sample
        return self._first_sample - to_samples(gaps[0].at_sec)

    def _note_gap(self, gap: TimestampGap, start: int, *, disturbed: bool) -> None:
        if gap.by_sec > LONGEST_GAP_SEC:
            hours = gap.by_sec / 3_600
            self._note(start, start + 1, f"time stamps jump by {hours:.1f} h here: gap closed")
        elif gap.by_sec >= PAUSE_SEC or (disturbed and gap.by_sec > 0):
            reason = f"{gap.by_sec:.3f} s of audio are missing or broken"
            self._note(start, start + to_samples(gap.by_sec), reason)

    def _note(self, start_sample: int, end_sample: int, reason: str) -> None:
        if self._damage is not None:
            self._damage.add(start_sample, end_sample, reason)

    async def _scan(self) -> None:
        """Ask a scan of the packets which are broken; once, at ffmpeg's first complaint."""
        self._scanned = True
        media, source = self._recording.media, self._recording.source
        origin_sec = media.origin_sec
        until = self._end_sample
        order = {
            "url": self._served.url,
            "options": INPUT_OPTIONS,
            "audio_stream": media.audio_stream,
            "length_bytes": source.length_bytes,
            "counted": self._counted,
            "from_sec": to_seconds(self._first_sample) if self._from_sample else None,
            "to_sec": None if until is None else to_seconds(until) + origin_sec,
        }
        written, _ = await run_script(
            _SCRIPT, order, self._served, cpu_sec=SCAN_CPU_SEC, max_bytes=SCAN_BYTES
        )
        shift = 0
        for at_sec, lost_sec, heard_sec in _findings(written):
            lost, heard = to_samples(lost_sec), to_samples(heard_sec)
            if self._counted:
                at_sample = to_samples(at_sec)
                self._insertions.append((at_sample, lost))
                start = media.start_sample + at_sample + shift
                shift += lost
            else:
                start = max(self._first_sample, to_samples(at_sec - origin_sec))
            self._note(start, start + lost + heard, "broken data: what is heard may be wrong")

    def _log(self, outcome: Outcome) -> None:
        if outcome.num_messages:
            logger.warning(
                "%s has broken data; ffmpeg says: %s",
                self._recording.source.name,
                outcome.messages[0],
            )


def _findings(written: bytes) -> Iterator[tuple[float, float, float]]:
    for line in written.splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # the child ended in the middle of it
            return
        yield found["at_sec"], found["lost_sec"], found["heard_sec"]
