"""How long a run will still take, as a figure that counts down and does not jump about."""

from longform.runs.progress_events import RunProgress

WEIGHT_OF_NEWS = 0.3  # of each new estimate of the end; batches come in lumps of minutes


class TimeLeft:
    """Follows one run. Times are those of any one clock, in seconds."""

    def __init__(self) -> None:
        self._seen_samples = 0
        self._end_sec: float | None = None

    def take_in(self, now: RunProgress, clock_sec: float) -> None:
        """Estimate the end anew where audio has been transcribed since the last call.

        Between two batches the speed only seems to fall, so nothing is estimated then.
        """
        transcribed = now.done_samples - now.cached_samples
        remaining_sec = now.remaining_sec
        if transcribed == self._seen_samples or remaining_sec is None:
            return
        self._seen_samples = transcribed
        end_sec = clock_sec + remaining_sec
        if self._end_sec is not None:
            end_sec = self._end_sec + WEIGHT_OF_NEWS * (end_sec - self._end_sec)
        self._end_sec = end_sec

    def at(self, clock_sec: float) -> float | None:
        """Return the seconds that are left; None while nothing is known."""
        return None if self._end_sec is None else max(0.0, self._end_sec - clock_sec)
