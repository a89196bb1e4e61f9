# Copyright 2026 The hasrd authors
# Apache-2.0
"""Byte-pair encoding of units: frequent runs of units become one (SentencePiece).

SentencePiece joins characters, so that each unit is one: unit n is U+4E00 + n, as ESPnet's asr2 recipes write units,
and from 20992 on U+20000 and what follows. Nothing is normalised, and each unit has a piece of its own, also those that
the training set lacks: what is encoded is decoded to the same.
"""

from __future__ import annotations

import io
import itertools
from typing import Iterable

import numpy as np

from hasrd.errors import UserError, first_line
from hasrd.units import SPECIAL

# The CJK ideographs that were first in Unicode, then those of extension B.
_BLOCKS = ((0x4E00, 20992), (0x20000, 42720))
MOST_UNITS = sum(size for _, size in _BLOCKS)


def character(unit: int) -> str:
    """Return the character that stands for a unit, counted from 0."""
    for start, size in _BLOCKS:
        if unit < size:
            return chr(start + unit)
        unit -= size
    raise ValueError(f"more than {MOST_UNITS} units have no characters")


class UnitBpe:
    """A trained model.

    Args:
        model: SentencePiece's, as `train` returned it.
        units: How many units there are.

    Raises:
        UserError: Not such a model.

    Attributes:
        vocabulary: The pieces by id; the first are `hasrd.units.SPECIAL`.
    """

    def __init__(self, model: bytes, units: int) -> None:
        from sentencepiece import SentencePieceProcessor

        if units > MOST_UNITS:
            raise UserError(f"{units} units: {MOST_UNITS} are the most that BPE takes")
        try:
            self.processor = SentencePieceProcessor(model_proto=model)
        except (RuntimeError, TypeError) as error:
            raise UserError(f"not a SentencePiece model ({first_line(error)}): export again") from None
        self.vocabulary = [self.processor.id_to_piece(number) for number in range(self.processor.get_piece_size())]
        self.characters = np.array([character(unit) for unit in range(units)])
        known = {letter: unit for unit, letter in enumerate(self.characters.tolist())}
        if self.vocabulary[: len(SPECIAL)] != list(SPECIAL) or not set("".join(self.vocabulary[len(SPECIAL) :])) <= set(
            known
        ):
            raise UserError("a SentencePiece model that is none of these units: export again")
        self._units = [[] if word in SPECIAL else [known[letter] for letter in word] for word in self.vocabulary]

    @staticmethod
    def train(sequences: Iterable[np.ndarray], units: int, size: int) -> bytes:
        """Return a model of so many pieces, the special ones among them, of sequences of units.

        Raises:
            UserError: Fewer pieces than there are units, or more than the sequences give.
        """
        from sentencepiece import SentencePieceTrainer

        if size < units + len(SPECIAL):
            raise UserError(f"--bpe {size}: {units} units and {len(SPECIAL)} special pieces need that many at least")
        if units > MOST_UNITS:
            raise UserError(f"--bpe: {units} units: {MOST_UNITS} are the most; choose streams")
        characters = np.array([character(unit) for unit in range(units)])
        # A line of one unit makes no pair, and gives units that the sequences lack a piece.
        lines = itertools.chain(characters, ("".join(characters[sequence]) for sequence in sequences if len(sequence)))
        model = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=map(str, lines),
                model_writer=model,
                model_type="bpe",
                vocab_size=size,
                character_coverage=1.0,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                split_by_unicode_script=False,
                split_by_number=False,
                # In bytes; longer ones would be left out.
                max_sentence_length=2**30,
                pad_id=0,
                bos_id=1,
                eos_id=2,
                unk_id=3,
                pad_piece=SPECIAL[0],
                bos_piece=SPECIAL[1],
                eos_piece=SPECIAL[2],
                unk_piece=SPECIAL[3],
                num_threads=1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise UserError(f"--bpe {size}: SentencePiece: {first_line(error)}") from None
        return model.getvalue()

    def encode(self, units: np.ndarray) -> np.ndarray:
        """Return the pieces (P,) of units (L,), both counted from 0."""
        return np.array(self.processor.encode("".join(self.characters[units])), dtype=np.int64)

    def decode(self, pieces: np.ndarray) -> np.ndarray:
        """Return the units (L,) of pieces (P,).

        Raises:
            ValueError: A piece that is none, or that stands for no unit.
        """
        wrong = next((piece for piece in pieces if not len(SPECIAL) <= piece < len(self._units)), None)
        if wrong is not None:
            raise ValueError(f"piece {wrong} stands for no units")
        return np.array([unit for piece in pieces for unit in self._units[piece]], dtype=np.int64)
