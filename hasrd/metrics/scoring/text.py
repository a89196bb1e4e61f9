# Copyright 2026 The hasrd authors
# Apache-2.0
"""CER, WER (also of a recogniser's text) and CTC loss from Kaldi tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence, TypedDict

from hasrd.config import check, read_json
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.metrics import ctc_loss, error_rate
from hasrd.metrics.scores import check_finite
from hasrd.metrics.scoring.job import Job, content, match

_COUNTERS = {
    "cer": error_rate.character_errors,
    "wer": error_rate.word_errors,
    "recogniser_cer": error_rate.character_errors,
    "recogniser_wer": error_rate.word_errors,
}


def score_text(jobs: Sequence[Job], reference: Path, hypothesis: Path) -> None:
    """Score the transcripts `hypothesis` against `reference` (Kaldi `text` files), a job for each of cer, wer.

    Raises:
        UserError: The two don't hold the same utterances, or every reference is empty.
    """
    _score_errors(jobs, *_read_pair(reference, hypothesis), reference)


def score_recognised(jobs: Sequence[Job], reference: Path, hypothesis: Path) -> None:
    """Score what `hasrd recognise` wrote against `reference`, both normalised first, a job for each of recogniser_cer,
    recogniser_wer.

    Raises:
        UserError: As `score_text`; or no recogniser.json lies beside the text, or the normalisation is not installed.
    """
    from hasrd.metrics.text_norm import make_normaliser

    references, hypotheses = _read_pair(reference, hypothesis)
    recogniser = _read_recogniser(hypothesis.with_name("recogniser.json"))
    normalise, name = make_normaliser(recogniser["language"])
    references = {utterance: normalise(text) for utterance, text in references.items()}
    hypotheses = {utterance: normalise(text) for utterance, text in hypotheses.items()}
    _score_errors(jobs, references, hypotheses, reference, recogniser=recogniser, normalisation=name)


def _read_pair(reference: Path, hypothesis: Path) -> tuple[dict[str, str], dict[str, str]]:
    references = read_table(reference, may_be_empty=True)
    hypotheses = read_table(hypothesis, may_be_empty=True)
    match(references, hypotheses, str(reference), str(hypothesis))
    return references, hypotheses


class _Recogniser(TypedDict):
    model: str
    sha256: str
    language: str


def _read_recogniser(path: Path) -> dict[str, Any]:
    advice = "make the text with hasrd recognise"
    facts = read_json(path, advice=advice)
    # The rest of it goes into the score as it is.
    check(facts, _Recogniser, path, advice)
    return facts


def _score_errors(
    jobs: Sequence[Job], references: Mapping[str, str], hypotheses: Mapping[str, str], reference: Path, **facts: Any
) -> None:
    """Write the error rates of texts of the same utterances; `facts` say how the texts were made."""
    for job in jobs:
        read = {"the references": content(references), "the hypotheses": content(hypotheses)}
        record = job.record(read, alignment=error_rate.SOURCE, **facts)
        if job.current(record):
            continue
        count = _COUNTERS[job.measure]
        errors = {utt: count(references[utt], hypotheses[utt]) for utt in sorted(references)}
        # What both texts are goes into the table, so that a report can show it.
        rows = {
            utt: (
                error.total,
                error.length,
                error.substitutions,
                error.deletions,
                error.insertions,
                references[utt],
                hypotheses[utt],
            )
            for utt, error in errors.items()
        }
        try:
            rate = error_rate.error_rate(list(errors.values()))
        except ValueError as error:
            raise UserError(f"{reference}: {error}: there is nothing to score against") from None
        job.write_ratio(
            rate,
            {utt: error.total for utt, error in errors.items()},
            {utt: error.length for utt, error in errors.items()},
            ("errors", "length", "substitutions", "deletions", "insertions", "ref", "hyp"),
            rows,
            record,
            scale=100.0,
            source=error_rate.SOURCE,
            **facts,
            substitutions=sum(error.substitutions for error in errors.values()),
            deletions=sum(error.deletions for error in errors.values()),
            insertions=sum(error.insertions for error in errors.values()),
            reference_length=sum(error.length for error in errors.values()),
            empty_references=sum(not references[utt] for utt in references),
            empty_hypotheses=sum(not hypotheses[utt] for utt in hypotheses),
        )


def score_ctc_loss(job: Job, reference: Path, losses: Path) -> None:
    """Score `losses` (lines "utt loss", the summed CTC loss of an utterance in nats) a character of
    `reference`.

    Raises:
        UserError: The two don't hold the same utterances, a loss is no finite number, or every reference is empty.
    """
    references = read_table(reference, may_be_empty=True)
    table = read_table(losses)
    record = job.record({"the references": content(references), "the losses": content(table)})
    if job.current(record):
        return
    utterances = match(references, table, str(reference), str(losses))
    values: dict[str, float] = {}
    for number, (utterance, text) in enumerate(table.items(), start=1):
        try:
            values[utterance] = float(text)
        except ValueError:
            raise UserError(f"{losses}:{number}: '{text}' is no number: write one loss an utterance") from None
    lengths = {utt: len(" ".join(references[utt].split())) for utt in utterances}
    check_finite(values, str(losses))
    try:
        mean = ctc_loss.loss_per_character(*zip(*((values[utt], lengths[utt]) for utt in utterances)))
    except ValueError as error:
        raise UserError(f"{reference}: {error}: there is nothing to score against") from None
    job.write_ratio(
        mean,
        values,
        lengths,
        ("loss", "characters"),
        {utt: (values[utt], lengths[utt]) for utt in utterances},
        record,
        source=ctc_loss.SOURCE,
    )
