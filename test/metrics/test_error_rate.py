# Copyright 2026 The hasrd authors
# Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.metrics.error_rate import Errors, character_errors, error_rate, word_errors

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), max_size=8)


def edit_distance(reference, hypothesis):
    """Plain dynamic programming, independent of the library."""
    row = list(range(len(hypothesis) + 1))
    for i, left in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


@given(WORDS, WORDS)
def test_word_errors_are_the_edit_distance(reference, hypothesis):
    errors = word_errors(" ".join(reference), "  ".join(hypothesis))
    assert errors.total == edit_distance(reference, hypothesis)
    assert errors.length == len(reference)
    assert errors.insertions - errors.deletions == len(hypothesis) - len(reference)


@given(WORDS, WORDS)
def test_character_errors_count_one_space_between_words(reference, hypothesis):
    errors = character_errors("  ".join(reference), " " + " ".join(hypothesis))
    assert errors.total == edit_distance(" ".join(reference), " ".join(hypothesis))
    assert errors.length == len(" ".join(reference))


def test_kinds_of_error():
    assert word_errors("the cat sat", "the bat sat down") == Errors(1, 0, 1, 3)
    assert word_errors("the cat sat", "") == Errors(0, 3, 0, 3)
    assert word_errors("", "oh") == Errors(0, 0, 1, 0)
    assert word_errors("yes", "yes") == Errors(0, 0, 0, 1)


def test_rate_is_a_ratio_of_sums():
    assert error_rate([Errors(1, 0, 0, 1), Errors(0, 0, 0, 99)]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="empty"):
        error_rate([Errors(0, 0, 2, 0)])
