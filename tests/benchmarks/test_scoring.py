"""Counting errors: what the tables of the quality benchmark are made of."""

from benchmarks.scoring import Errors, count_errors, num_duplicates, total


def test_words_are_counted_after_normalising() -> None:
    """Case, punctuation and spelling variants are no errors; words are."""
    assert count_errors("The colour is RED.", "the color is red", "en").num_errors == 0
    found = count_errors("one two three four", "one too four five", "nl")
    assert (found.substitutions + found.deletions + found.insertions, found.rate) == (3, 0.75)


def test_characters_are_counted_where_no_spaces_are_written() -> None:
    """Japanese has as many units as characters."""
    found = count_errors("今日は雨です", "今日は雪です", "ja")
    assert (found.num_units, found.num_errors) == (6, 1)


def test_invented_words_are_insertions_and_silence_is_deletions() -> None:
    """An empty side is all errors of one kind."""
    assert count_errors("", "thank you", None) == Errors(0, 0, 0, 2, 0)
    assert count_errors("thank you", "", "en") == Errors(2, 0, 2, 0, 0)


def test_text_said_twice_is_a_duplicate_unless_it_should_be() -> None:
    """Runs of five words count once for each time too often."""
    sentence = ["i", "am", "going", "to", "do", "it"]
    assert num_duplicates(sentence, sentence) == 0
    assert num_duplicates(sentence, sentence * 2) == 2
    assert num_duplicates(sentence * 2, sentence * 2) == 0


def test_totals_are_sums() -> None:
    """The rate of a total is that of all words together."""
    assert total([Errors(10, 1, 0, 0, 0), Errors(30, 0, 2, 1, 1)]) == Errors(40, 1, 2, 1, 1)
    assert total([]).rate == 0
