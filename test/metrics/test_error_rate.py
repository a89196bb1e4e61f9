# Copyright 2026 The hasrd authors
# Apache-2.0
import random
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.metrics.error_rate import Errors, character_errors, count_errors, word_errors

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), max_size=8)
# Reference, hypothesis, and what sclite 2.10 says: substitutions, deletions, insertions. Of the first two, there are
# alignments with one error less, which cost as much or more.
OF_SCLITE = [
    ("ccddba", "baab", (0, 4, 2)),
    ("ddacdb", "cbbbd", (1, 3, 2)),
    ("aada", "bdcc", (2, 1, 1)),
    ("abcb", "bbba", (1, 1, 1)),
]


def direct(reference, hypothesis):
    """Plain dynamic programming that carries the kinds of error along, independent of the module's."""
    row = [(3 * j, 0, 0, j) for j in range(len(hypothesis) + 1)]
    for i, left in enumerate(reference, 1):
        above, row = row, [(3 * i, 0, i, 0)]
        for j, right in enumerate(hypothesis, 1):
            wrong = left != right
            cost, s, d, n = above[j - 1]
            best = (cost + 4 * wrong, s + wrong, d, n)
            cost, s, d, n = row[j - 1]
            insertion = (cost + 3, s, d, n + 1)
            cost, s, d, n = above[j]
            deletion = (cost + 3, s, d + 1, n)
            if best[0] > min(deletion[0], insertion[0]):
                best = deletion if deletion[0] < insertion[0] else insertion
            row.append(best)
    return row[-1][1:]


def edit_distance(reference, hypothesis):
    row = list(range(len(hypothesis) + 1))
    for i, left in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def kinds(errors):
    return errors.substitutions, errors.deletions, errors.insertions


@settings(deadline=None)
@given(WORDS, WORDS)
def test_word_errors_equal_a_direct_computation(reference, hypothesis):
    errors = word_errors(" ".join(reference), "  ".join(hypothesis))
    assert kinds(errors) == direct(reference, hypothesis)
    assert errors.length == len(reference)
    assert errors.insertions - errors.deletions == len(hypothesis) - len(reference)
    assert errors.total >= edit_distance(reference, hypothesis)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_character_errors_count_one_space_between_words(reference, hypothesis):
    errors = character_errors("  ".join(reference), " " + " ".join(hypothesis))
    assert kinds(errors) == direct(" ".join(reference), " ".join(hypothesis))
    assert errors.length == len(" ".join(reference))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=80), st.lists(st.integers(0, 300), max_size=80))
def test_many_kinds_of_token(reference, hypothesis):
    reference, hypothesis = [list(map(str, tokens)) for tokens in (reference, hypothesis)]
    assert kinds(count_errors(reference, hypothesis)) == direct(reference, hypothesis)


@pytest.mark.parametrize("reference, hypothesis, found", OF_SCLITE)
def test_kinds_are_those_that_sclite_found(reference, hypothesis, found):
    assert kinds(count_errors(reference, hypothesis)) == found


def sclite_command():
    commands = (["sclite"], ["sctk", "sclite"])
    return next((command for command in commands if shutil.which(command[0])), [])


@pytest.mark.skipif(not sclite_command(), reason="sclite is not installed")
def test_equal_to_sclite(tmp_path):
    generator = random.Random(0)
    pairs = [("", ""), ("a", ""), ("", "a")]
    for _ in range(400):
        words = [f"w{index}" for index in range(generator.choice([2, 4, 30]))]
        reference = generator.choices(words, k=generator.randrange(30))
        if generator.random() < 0.5:
            hypothesis = generator.choices(words, k=generator.randrange(30))
        else:
            changed = [[], [generator.choice(words)], [generator.choice(words) for _ in "ab"]]
            hypothesis = [w for word in reference for w in generator.choices([[word], *changed], [7, 1, 1, 1])[0]]
        pairs.append((" ".join(reference), " ".join(hypothesis)))
    for name, place in (("ref", 0), ("hyp", 1)):
        (tmp_path / name).write_text("".join(f"{pair[place]} (s-{i:04d})\n" for i, pair in enumerate(pairs)))
    texts = ["-r", str(tmp_path / "ref"), "trn", "-h", str(tmp_path / "hyp"), "trn"]
    command = [*sclite_command(), "-s", "-i", "rm", *texts, "-o", "pralign", "stdout"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.findall(r"^id: \(s-(\d+)\)\nScores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)", output, re.MULTILINE)
    assert len(found) == len(pairs)
    for line in found:
        index, correct, *wrong = map(int, line)
        errors = word_errors(*pairs[index])
        assert (list(kinds(errors)), errors.length) == (wrong, correct + wrong[0] + wrong[1]), pairs[index]


def test_kinds_of_error():
    assert word_errors("the cat sat", "the bat sat down") == Errors(1, 0, 1, 3)
    assert word_errors("the cat sat", "") == Errors(0, 3, 0, 3)
    assert word_errors("", "oh") == Errors(0, 0, 1, 0)
    assert word_errors("", "") == Errors(0, 0, 0, 0)
    assert word_errors("yes", "yes") == Errors(0, 0, 0, 1)
