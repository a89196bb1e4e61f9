# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the labels of alignments mean: silence, stress, pronunciation variants. The one place that knows.

Words are written in lower case and without the number of a pronunciation variant (`was(2)`); phones without the stress
of ARPAbet vowels (`AA1`) and without Kaldi's position in the word (`AA_B`). All labels of silence and noise become one.
"""

from __future__ import annotations

import re

KINDS = ("words", "phones")
# What silence is called in `words.ctm` and `phones.ctm`.
SILENCE = {"words": "<sil>", "phones": "SIL"}

# In lower case. Of the Montreal Forced Aligner, Kaldi, HTK, CMU Sphinx and TIMIT.
_SILENT = frozenset(
    "sil <sil> !sil sp spn <spn> <eps> <s> </s> <silence> <noise> <spoken_noise> <unk> <oov> <p:> *** #".split()
)
# Could be words, too.
_SILENT_PHONES = frozenset("pau epi h# nsn oov eps".split())
# [NOISE], {SL}, ++BREATH++, +SPN+
_MARKED = re.compile(r"\[.*\]|\{.*\}|\+.*\+")
_ARPABET = frozenset(
    "AA AE AH AO AW AX AXR AY B CH D DH DX EH ER EY F G HH IH IX IY JH K L M N NG OW OY P R S SH T TH UH UW UX V W Y Z "
    "ZH".split()
)
_STRESS = re.compile(r"([A-Z]{2,3})[0-2]")
_POSITION = re.compile(r"^(.+?)(?:_[BIESbies])+$")
# K.-F. Lee and H.-W. Hon, "Speaker-independent phone recognition using hidden Markov models", IEEE Trans. ASSP 37(11),
# 1989: the 61 symbols of TIMIT to the 39 classes that are scored, as Kaldi's recipe has them (timit/s5,
# conf/phones.60-48-39.map, last column). The glottal stop q has no class. 39 phones stay as they are, sil among them.
_TIMIT_KEPT = frozenset(
    "aa ae ah aw ay b ch d dh dx eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z sil".split()
)
_TIMIT_FOLDED = {
    old: new
    for new, group in {
        "aa": "ao",
        "ah": "ax ax-h",
        "er": "axr",
        "hh": "hv",
        "ih": "ix",
        "l": "el",
        "m": "em",
        "n": "en nx",
        "ng": "eng",
        "sh": "zh",
        "uw": "ux",
        "sil": "pcl tcl kcl bcl dcl gcl h# pau epi",
    }.items()
    for old in group.split()
}
_VARIANT = re.compile(r"^(.+?)(?:\(\d+\))+$")


def is_silence(kind: str, label: str) -> bool:
    """Whether a label stands for silence, noise or nothing: ``, `sil`, `sp`, `spn`, `<eps>`, `[NOISE]`, ..."""
    label = label.strip().lower()
    return (
        not label
        or label in _SILENT
        or bool(_MARKED.fullmatch(label))
        or (kind == "phones" and label in _SILENT_PHONES)
    )


def phone(label: str) -> str:
    """A phone without stress and position; case is kept, because IPA and X-SAMPA need it."""
    label = _POSITION.sub(r"\1", _joined(label))
    stress = _STRESS.fullmatch(label)
    label = stress[1] if stress and stress[1] in _ARPABET else label
    return SILENCE["phones"] if is_silence("phones", label) else label


def fold_timit(label: str) -> str | None:
    """One of the 39 classes of Lee and Hon (1989) for one of TIMIT's 61 phones; None for q, which has none.

    Raises:
        KeyError: Another label.
    """
    key = label.strip().lower()
    if key == "q":
        return None
    return key if key in _TIMIT_KEPT else _TIMIT_FOLDED[key]


def word(label: str) -> str:
    """A word in lower case, without the number of its pronunciation variant."""
    label = _VARIANT.sub(r"\1", _joined(label).lower())
    return SILENCE["words"] if is_silence("words", label) else label


def normal(kind: str, label: str) -> str:
    """The label as `words.ctm` or `phones.ctm` has it; the same for a label that is so already."""
    return phone(label) if kind == "phones" else word(label)


def is_arpabet(label: str) -> bool:
    """Whether a label is an ARPAbet phone, in upper or lower case, or silence."""
    return phone(label.upper()) in _ARPABET | {SILENCE["phones"]}


def _joined(label: str) -> str:
    # A CTM file separates by spaces.
    return "_".join(label.split())
