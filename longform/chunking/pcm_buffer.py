"""A stretch of a PCM stream, held by absolute position and let go from the front."""

from collections import deque

import numpy as np

from longform.audio import Pcm
from longform.errors import InvariantError


class PcmBuffer:
    """The audio `[start_sample, end_sample)` of a stream. Blocks that are added belong to it."""

    def __init__(self, start_sample: int) -> None:
        self._blocks: deque[Pcm] = deque()
        self.start_sample = start_sample
        self.end_sample = start_sample

    def append(self, pcm: Pcm) -> None:
        """Add the next block of the stream: int16, shape (num_samples,)."""
        if len(pcm):
            self._blocks.append(pcm)
            self.end_sample += len(pcm)

    def slice(self, start_sample: int, end_sample: int) -> Pcm:
        """Return a copy of `[start_sample, end_sample)`.

        Raises:
            InvariantError: where part of it has not arrived yet or was let go.
        """
        if not self.start_sample <= start_sample <= end_sample <= self.end_sample:
            raise InvariantError(
                f"samples {start_sample} to {end_sample} are not in the buffer "
                f"[{self.start_sample}, {self.end_sample})"
            )
        parts, position = [np.empty(0, np.int16)], self.start_sample
        for block in self._blocks:
            if position >= end_sample:
                break
            parts.append(block[max(0, start_sample - position) : end_sample - position])
            position += len(block)
        return np.concatenate(parts)

    def drop_before(self, sample: int) -> None:
        """Let go of everything before `sample`."""
        while self._blocks and self.start_sample < sample:
            block = self._blocks.popleft()
            rest = block[sample - self.start_sample :]
            self.start_sample += len(block) - len(rest)
            if len(rest):
                # A copy, so that the tail of a large block does not keep all of it alive.
                self._blocks.appendleft(rest.copy() if len(rest) * 2 < len(block) else rest)
                break

    def take_before(self, sample: int) -> Pcm:
        """Return what is held before `sample`, and let go of it."""
        pcm = self.slice(self.start_sample, sample)
        self.drop_before(sample)
        return pcm
