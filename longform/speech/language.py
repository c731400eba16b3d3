"""The language of each window: what it says itself, or what its stream has said so far."""

from collections.abc import Iterable, Sequence

# A window that is this sure of a language is believed, even against its neighbours. Below it
# a short or noisy window is often wrong, while people rarely switch languages in mid-stream.
SURE_PROBABILITY = 0.8


class LanguageVotes:
    """What the windows of one stream said about their language, for those that come later.

    Each window has one vote, split over languages by probability. Votes are kept by the
    window's place, so that a window that is decoded twice still votes once.
    """

    def __init__(self) -> None:
        self._votes: dict[int, dict[str, float]] = {}

    def votes_at(self, start_sample: int) -> dict[str, float]:
        """Return the vote of the window that starts there; empty where it has not voted."""
        return dict(self._votes.get(start_sample, {}))

    def decide(
        self, start_sample: int, probabilities: Iterable[tuple[str, float]]
    ) -> tuple[str, float]:
        """Record a window's vote and return its language and how probable that is (0-1).

        Args:
            start_sample: where the window starts on the recording's timeline.
            probabilities: language codes with probabilities; must not be empty.
        """
        own = dict(probabilities)
        self._votes[start_sample] = own
        best = max(own, key=lambda code: own[code])
        if own[best] >= SURE_PROBABILITY:
            return best, own[best]
        heard = [votes for start, votes in self._votes.items() if start <= start_sample]
        codes = {code for votes in heard for code in votes}
        # Ties are broken by the code, so that the result depends on nothing else.
        means = {code: sum(v.get(code, 0.0) for v in heard) / len(heard) for code in sorted(codes)}
        elected = max(means, key=lambda code: means[code])
        return elected, means[elected]


def is_sure(probabilities: Iterable[tuple[str, float]]) -> bool:
    """Return whether a window tells its language by itself; else it may hold two of them."""
    return max(probability for _, probability in probabilities) >= SURE_PROBABILITY


def only_among(
    languages: Sequence[str], probabilities: Sequence[tuple[str, float]]
) -> list[tuple[str, float]]:
    """Return probabilities of only those languages, which sum to 1; all where none are named.

    Languages that the model does not know are left out; where it knows none of them, nothing
    is restricted.
    """
    among = [(code, probability) for code, probability in probabilities if code in languages]
    total = sum(probability for _, probability in among)
    if not among or not total:
        return list(probabilities)
    return [(code, probability / total) for code, probability in among]
