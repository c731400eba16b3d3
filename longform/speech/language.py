"""The language of each window: what it says itself, or what its stream has said so far."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A window that is this sure of a language is believed, even against its neighbours. Below it
# a short or noisy window is often wrong, while people rarely switch languages in mid-stream.
SURE_PROBABILITY = 0.8


class LanguageTrack:
    """What the windows of one stream said about their language, for those that come later.

    Each window has one vote, split over languages by probability. A window that is decoded
    again votes again, in place of its vote before. Windows may be decoded side by side: which
    votes count depends on the order in which they were sent, and on nothing else.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._ballots: list[Ballot] = []

    def ballot(self, start_sample: int) -> "Ballot":
        """Return the ballot of a window that is sent to the engine now, and starts there."""
        with self.changed:
            ballot = Ballot(self, start_sample, len(self._ballots))
            self._ballots.append(ballot)
            return ballot

    def heard(self, start_sample: int) -> dict[str, float]:
        """Return the last vote of a window that starts there; empty where it has not voted."""
        with self.changed:
            votes = [b.vote for b in self._ballots if b.start_sample == start_sample and b.vote]
            return dict(votes[-1]) if votes else {}

    def upto(self, ballot: "Ballot") -> list["Ballot"]:
        """Return the ballots that count beside one: sent no later, of windows no later, it too."""
        sent = self._ballots[: ballot.place + 1]
        return [each for each in sent if each.start_sample <= ballot.start_sample]


@dataclass(slots=True, eq=False)
class Ballot:
    """What one window says about its language, once it is known."""

    track: LanguageTrack
    start_sample: int
    place: int
    vote: dict[str, float] | None = None
    is_settled: bool = False  # it has voted, or never will

    def cast(self, probabilities: Iterable[tuple[str, float]]) -> None:
        """Record the vote: language codes with probabilities; not empty."""
        with self.track.changed:
            self.vote = dict(probabilities)
            self.is_settled = True
            self.track.changed.notify_all()

    def give_up(self) -> None:
        """Say that no vote will come, where none has: nobody is to wait for it."""
        with self.track.changed:
            self.is_settled = True
            self.track.changed.notify_all()

    def elect(self) -> tuple[str, float]:
        """Return the window's language and how probable that is (0-1), after its own vote.

        A window that is not sure waits for the votes of those before it. So whoever decodes
        several windows casts the votes of all before it asks for the language of one.
        """
        own = self.vote or {}
        best = max(own, key=lambda code: own[code])
        if own[best] >= SURE_PROBABILITY:
            return best, own[best]
        with self.track.changed:
            earlier = self.track.upto(self)
            self.track.changed.wait_for(lambda: all(each.is_settled for each in earlier))
            # One vote for each window: the last.
            heard = [*{each.start_sample: each.vote for each in earlier if each.vote}.values()]
        codes = {code for vote in heard for code in vote}
        # Ties are broken by the code, so that the result depends on nothing else.
        means = {code: sum(v.get(code, 0.0) for v in heard) / len(heard) for code in sorted(codes)}
        elected = max(means, key=lambda code: means[code])
        return elected, means[elected]

    def decide(self, probabilities: Iterable[tuple[str, float]]) -> tuple[str, float]:
        """Cast a vote and return the window's language, as `elect` does."""
        self.cast(probabilities)
        return self.elect()


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
