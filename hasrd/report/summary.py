# Copyright 2026 The hasrd authors
# Apache-2.0
"""The first screen of the page: the numbers that matter, each beside a yardstick, and what is good and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Sequence

from hasrd.codec.streams import word_streams
from hasrd.report.claims import FAILS, HOLDS, MISSING, Claim, below
from hasrd.report.collect import MEAN_SPECTRUM, ORIGINAL, RECONSTRUCTION, Results, ScoreRow
from hasrd.report.specification import row_key, table_specs
from hasrd.report.streams import probe_label, streams_of


@dataclass(frozen=True)
class Headline:
    """One number at the top of the page.

    Attributes:
        note: Its interval and count.
        yardsticks: What it is to be held against: label and value.
    """

    value: str
    label: str
    note: str
    yardsticks: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Summary:
    """What the first screen says, of one test set ("" where nothing was scored)."""

    test_set: str
    headlines: list[Headline]
    good: list[Claim]
    not_good: list[Claim]


@dataclass(frozen=True)
class _Number:
    """A headline: what is measured of which system; the yardsticks are systems of the same measure, with their labels.

    Attributes:
        paper: Table and column of the paper's number.
    """

    measure: str
    system: str | None
    label: str
    form: str
    yardsticks: dict[str, str] = field(default_factory=dict)
    paper: tuple[str, str] = ("", "")


def summary(results: Results, claims: Sequence[Claim], single_speaker: bool = False) -> Summary:
    """Sum up the first test set; of several codecs there are the claims alone, their numbers are left to the tables.

    Args:
        claims: As `hasrd.report.claims.claims` judges them.
        single_speaker: The corpus has one voice, which is said.
    """
    test_sets = results.test_sets(RECONSTRUCTION) or results.test_sets([row.score.measure for row in results.scores])
    if not test_sets:
        return Summary("", [], [], [])
    test_set = test_sets[0]
    codecs = results.experiments(RECONSTRUCTION)
    judged = [claim for claim in claims if claim.verdict != MISSING]
    on_this = {claim.text for claim in judged if claim.test_set == test_set}
    # Masked prediction may be scored on another set than speech.
    shown = [claim for claim in judged if claim.test_set == test_set or claim.text not in on_this]
    headlines = []
    if len(codecs) == 1:
        words = next(iter(word_streams(streams_of(results, test_set, codecs[0]))), "semantic")
        headlines = [found for item in _numbers(words) if (found := _headline(results, test_set, codecs[0], item))]
        shown += _against_yardsticks(results, test_set, codecs[0], words)
        if single_speaker:
            shown.append(Claim("Another voice than the one that it was trained on was not tried", test_set, "", FAILS))
    return Summary(
        test_set,
        headlines,
        [claim for claim in shown if claim.verdict == HOLDS],
        [claim for claim in shown if claim.verdict != HOLDS],
    )


def _numbers(words: str) -> list[_Number]:
    """Return the headlines; `words` is the stream that should carry the words."""
    shuffled = {"shuffled": "acoustic tokens shuffled in time"}
    return [
        _Number(
            "recogniser_wer",
            "combined",
            "of the words that a speech recogniser hears are wrong",
            "{:.1f}%",
            {ORIGINAL: "in the recordings"},
        ),
        _Number(
            "mel",
            "combined",
            "mel distance to the recordings, 0 is the same",
            "{:.2f}",
            {"shuffled": shuffled["shuffled"], MEAN_SPECTRUM: "a constant mean spectrum"},
            ("table2", "mel"),
        ),
        _Number(
            "ecapa_similarity",
            "combined",
            "voice: similarity (ECAPA)",
            "{:.2f}",
            shuffled,
            ("table4", "ecapa_similarity"),
        ),
        _Number("speaker_similarity", "combined", "voice: similarity, 1 is the same", "{:.2f}", shuffled),
        _Number(
            "cer",
            f"tokens_{words}",
            f"of the letters that a small probe reads from {words} tokens are wrong",
            "{:.1f}%",
            {name: f"from {probe_label(name).lower()}" for name in ("log_mel", "latent_shuffled")},
            ("table3", "quantized_cer"),
        ),
        _Number("bitrate", None, "kbit a second", "{:.2f}", {}, ("table2", "bitrate")),
    ]


def _headline(results: Results, test_set: str, codec: str, item: _Number) -> Headline | None:
    found = results.first(item.measure, test_set, item.system, codec)
    if found is None or (
        item.measure == "speaker_similarity" and results.first("ecapa_similarity", test_set, "combined")
    ):
        return None
    (low, high), form = found.score.ci95, item.form
    note = f"{form.format(low)} to {form.format(high)}" if low < high else ""
    others = {label: _beside(results, test_set, codec, item, system) for system, label in item.yardsticks.items()}
    yardsticks = [(label, form.format(other.score.mean)) for label, other in others.items() if other]
    if item.measure == "bitrate":
        yardsticks.append(("speech of 16 bits at 16 kHz", "256"))
    printed = _printed(codec, *item.paper, item.system)
    if printed:
        yardsticks.append(("the paper's model of full size", printed + ("%" if form.endswith("%") else "")))
    return Headline(form.format(found.score.mean), item.label, note, yardsticks)


def _beside(results: Results, test_set: str, codec: str, item: _Number, system: str) -> ScoreRow | None:
    """Return the score of a yardstick: of this codec, or, of log-mel, of no codec."""
    return results.first(item.measure, test_set, system, None if system == "log_mel" else codec)


def _printed(codec: str, table: str, column: str, system: str | None) -> str:
    """Return the paper's number of the row that a codec is, or, in a table of streams, that HASRD's speech of a system
    is; "" where there is none.
    """
    key = row_key(codec)
    for row in table_specs()[table].rows if table else ():
        of_stream = key.startswith("hasrd") and not row.keys and isinstance(row.systems, Mapping)
        if (key in row.keys or (of_stream and row.systems.get("speech") == system)) and column in row.paper:
            return row.paper[column]
    return ""


def _against_yardsticks(results: Results, test_set: str, codec: str, words: str) -> list[Claim]:
    """Return what else is good or not: the words beside the recordings', the tokens beside log-mel."""
    found = []
    decoded = results.first("recogniser_wer", test_set, "combined", codec)
    recorded = results.first("recogniser_wer", test_set, ORIGINAL, codec)
    if decoded and recorded:
        worse = below(recorded, decoded)[0] == HOLDS
        text = "Words are lost: a recogniser hears decoded speech worse than the recordings"
        if not worse:
            text = "A recogniser hears no difference between decoded speech and the recordings that is beyond chance"
        evidence = f"{decoded.score.mean:.1f}% against {recorded.score.mean:.1f}% word errors"
        found.append(Claim(text, test_set, evidence, FAILS if worse else HOLDS))
    tokens = next(iter(results.find_probe("cer", test_set, f"tokens_{words}", codec)), None)
    log_mel = results.first("cer", test_set, "log_mel")
    if tokens and log_mel:
        verdict, near = below(tokens, log_mel)
        text = f"A probe reads the {words} tokens {'better' if verdict == HOLDS else 'no better'} than log-mel"
        evidence = f"{tokens.score.mean:.1f}% against {log_mel.score.mean:.1f}% letter errors{near}"
        found.append(Claim(text, test_set, evidence, verdict))
    return found
