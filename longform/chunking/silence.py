"""The smoothed absolute waveform: where it is quietest, and whether that is silence."""

import numpy as np
import numpy.typing as npt

from longform.audio import Pcm

# Speech spans about 30 dB: its weakest parts lie 15 to 18 dB under its long-term level
# (the speech spectrum of ANSI S3.5, Speech Intelligibility Index). What is quieter than
# that, held over the whole width of the smoothing filter, is no part of the speech.
SILENCE_BELOW_MEAN_DB = 18.0
# Room noise of a quiet recording is about -60 dB of full scale; below that is silence
# whatever surrounds it, which also holds where the surroundings are digital silence.
SILENCE_FLOOR_LEVEL = 32_768 * 10 ** (-60.0 / 20)  # mean absolute int16 value


def smoothed_sums(pcm: Pcm, width_samples: int) -> npt.NDArray[np.int64]:
    """Return the sum of |pcm| over every box of `width_samples`, int64, exact.

    Element i covers samples [i, i + width_samples). A width over len(pcm) is cut to it.
    A float32 running sum of int16 is off by more than the silence that is looked for, and
    abs(-32768) is negative in int16, so everything is done in int64.
    """
    width = min(width_samples, len(pcm))
    running = np.zeros(len(pcm) + 1, dtype=np.int64)
    np.cumsum(np.abs(pcm.astype(np.int64)), out=running[1:])
    return running[width:] - running[: len(running) - width]


def quietest_sample(pcm: Pcm, width_samples: int) -> int:
    """Return the index in [0, len(pcm)] at the centre of the quietest box of the waveform.

    Among equally quiet boxes the middle of the first run counts: in digital silence that
    is as far from the sound on both sides as can be.
    """
    if not len(pcm):
        return 0
    sums = smoothed_sums(pcm, width_samples)
    first = int(np.argmin(sums))
    louder = np.flatnonzero(sums[first:] != sums[first])
    run = int(louder[0]) if len(louder) else len(sums) - first
    return first + (run - 1) // 2 + min(width_samples, len(pcm)) // 2


def is_silence(pcm: Pcm, width_samples: int) -> bool:
    """Return whether the quietest box of `pcm` is silence next to the rest of it."""
    if not len(pcm):
        return False
    quietest = float(smoothed_sums(pcm, width_samples).min()) / min(width_samples, len(pcm))
    mean = float(np.abs(pcm.astype(np.int64)).mean())
    return quietest <= max(SILENCE_FLOOR_LEVEL, mean * 10 ** (-SILENCE_BELOW_MEAN_DB / 20))
