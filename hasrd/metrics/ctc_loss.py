# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC loss of a probe: negative log likelihood of the transcripts in nats a character.

Source: Graves et al., ICML 2006. Summed over the test set before the division, as the error rates
are, so that an utterance weighs as much as its text is long.
"""

from __future__ import annotations

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.metrics.measure import Inputs, Measure, Reading, Result, content, match
from hasrd.metrics.scores import check_finite
from hasrd.metrics.scoring.text import check_references


class LossReading(Reading):
    """References (`ref`) and lines "utt loss", the summed CTC loss of an utterance in nats (`losses`).

    Raises:
        UserError: The two don't hold the same utterances, every reference is empty, or a loss is no finite number.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.references, table = read_table(inputs.ref, may_be_empty=True), read_table(inputs.losses)
        self.read = {"the references": content(self.references), "the losses": content(table)}
        match(self.references, table, str(inputs.ref), str(inputs.losses))
        check_references(self.references, inputs.ref)
        self.losses: dict[str, float] = {}
        for number, (utterance, text) in enumerate(table.items(), start=1):
            try:
                self.losses[utterance] = float(text)
            except ValueError:
                raise UserError(
                    f"{inputs.losses}:{number}: '{text}' is no number: write one loss an utterance"
                ) from None
        check_finite(self.losses, str(inputs.losses))


class CTCLoss(Measure):
    """See the file."""

    name = "ctc_loss"
    label = "CTC loss"
    unit = "nats/char"
    higher_is_better = False
    source = "sum of the utterances' CTC losses (nats) / sum of their characters, spaces included"
    inputs = ("ref", "losses")
    taken_of = "probe"
    reading = LossReading
    table = "probes"
    order = 12

    def compute(self, reading: LossReading, system: str) -> Result:
        lengths = {utt: len(" ".join(text.split())) for utt, text in reading.references.items()}
        rows = {utt: (loss, lengths[utt]) for utt, loss in reading.losses.items()}
        columns = ("loss", "characters")
        return Result.of_ratio(columns, rows, columns)
