# Copyright 2026 The hasrd authors
# Apache-2.0
import shutil
from dataclasses import replace

import numpy as np
import pytest
from exp_tree import put, put_probe, put_rate

from hasrd.metrics.scores import write_score
from hasrd.report.claims import claims
from hasrd.report.collect import collect

# What stands in the claim, and what makes it false: system, measure, mean.
CLAIMS = {
    "less of the voice": ("semantic", "ecapa_similarity", 0.7),
    "better than the acoustic ones": ("tokens_acoustic", "ctc_loss", 0.1),
    "better than all tokens together": ("tokens_all", "ctc_loss", 0.1),
    "closer to the target": ("combined", "target_similarity", 0.9),
}


@pytest.fixture
def codec(paper_exp):
    return paper_exp / "codec_train_codec_89abcdef"


def judged(codec, **options):
    return {claim.text: claim for claim in claims(collect([codec]), ["test-clean"], all_rows=True, **options)}


def one(found, part):
    (claim,) = [claim for text, claim in found.items() if part in text]
    return claim


def test_all_hold(codec):
    found = judged(codec)
    assert {part: one(found, part).verdict for part in CLAIMS} == dict.fromkeys(CLAIMS, "holds")
    assert one(found, "PNMI").evidence.startswith("0.500; shuffled 0.050; best acoustic 0.300 (of 1024 entries")
    assert "WER 21.0 against 24.0; the paper 21.0 against 24.2" in one(found, "all tokens together").evidence
    assert one(found, "voice than the acoustic").evidence.startswith("speaker similarity (ecapa) 0.20 against 0.60")


def test_what_is_shown_beside_a_verdict_is_told_apart_from_what_decides(codec):
    """Words may be read worse by chance where the loss is better: the claim says by which of the two it holds."""
    put_probe(codec, "test-clean", "tokens_semantic", wer=103.1)
    claim = one(judged(codec), "better than the acoustic ones")
    assert claim.text.endswith("(CTC loss)") and claim.verdict == "holds"
    decided, beside = claim.evidence.split(". Beside it, ")
    assert decided.startswith("CTC loss ") and beside.startswith("WER 103.1 against ")


@pytest.mark.parametrize("part", CLAIMS)
def test_each_can_fail(codec, part):
    system, measure, mean = CLAIMS[part]
    if measure == "ctc_loss":
        put_probe(codec, "test-clean", system, ctc_loss=mean)
    else:
        put(codec, "test-clean", system, **{measure: mean})
    found = judged(codec)
    assert one(found, part).verdict == "does not hold" and f"{mean:.2f}" in one(found, part).evidence
    assert [one(found, other).verdict for other in CLAIMS if other != part] == ["holds"] * 3


@pytest.mark.parametrize("index, key, value", [(1, "value", 0.6), (0, "shuffled", 0.6)])
def test_phones_must_be_above_shuffled_and_acoustic(codec, index, key, value):
    (found,) = collect([codec]).find("pnmi", "test-clean")
    books = found.score.details["codebooks"]
    books[index][key] = value
    put(codec, "test-clean", "combined", pnmi=(0.5, {"codebooks": books}))
    assert one(judged(codec), "PNMI").verdict == "does not hold"


def test_missing_scores(codec):
    scores = codec / "scores/test-clean"
    (scores / "combined/target_similarity.json").unlink()
    assert one(judged(codec), "closer to the target").evidence.endswith("0.70, of the source's recording 0.45")
    put(codec, "test-clean", "conversion", target_similarity=0.7)
    assert one(judged(codec), "than to the source's").evidence.startswith("0.70 against 0.60")
    (scores / "conversion/target_similarity.json").unlink()
    assert one(judged(codec), "closer to the target").verdict == "missing"
    (scores / "semantic/ecapa_similarity.json").unlink()
    # The other speaker model's scores are whole; the paper's numbers are not of it.
    claim = one(judged(codec), "less of the voice")
    assert claim.verdict == "holds" and "0.50 against 0.70" in claim.evidence and ".15" not in claim.evidence


def test_one_voice_and_one_stream_and_no_probes(codec):
    assert not any("voice" in text for text in judged(codec, single_speaker=True))
    assert not any("probe" in text for text in judged(codec, only_codecs=True))
    put_rate(codec, "test-clean", [1024], ["acoustic"])
    assert not any(part in text for part in (*CLAIMS, "PNMI") for text in judged(codec))


def test_experiments_are_not_mixed(codec):
    """Latents in order of one codec against shuffled ones of another would say nothing."""
    put_probe(codec.parent / "codec_a", "test-clean", "latent_shuffled", ctc_loss=0.01)
    found = judged(codec.parent)
    assert one(found, "codec_a: a probe reads latents in order").verdict == "missing"
    assert one(found, "codec_train_codec_89abcdef: a probe reads latents in order").verdict == "holds"


def put_rows(codec, system, measure, values):
    """Give a score a table of utterances."""
    (found,) = collect([codec]).find(measure, "test-clean", system)
    score = replace(found.score, mean=sum(values) / len(values), count=len(values), ci95=(0.0, 1.0))
    write_score(found.path.parent, score, ["value"], {f"utt{i:02d}": [value] for i, value in enumerate(values)})


def test_no_claim_holds_by_a_difference_within_the_intervals(codec):
    assert "overlap" not in one(judged(codec), "less of the voice").evidence
    put(codec, "test-clean", "acoustic", ecapa_similarity=0.21)
    claim = one(judged(codec), "less of the voice")
    assert claim.evidence.endswith("intervals overlap") and claim.verdict == "in order, not separated"


@pytest.mark.parametrize(
    "count, shift, verdict, words",
    [
        (40, 0.02, "holds", "paired p < 0.001"),
        (40, 0.0005, "in order, not separated", "paired p = "),
        (40, -0.02, "does not hold", "paired p < 0.001"),
        (8, 0.02, "in order, not separated", "too few utterances for a paired test"),
    ],
)
def test_a_paired_test_tells_apart_what_the_intervals_do_not(codec, count, shift, verdict, words):
    """Utterances differ by much more than the two systems: only pairs of the same utterance can show it."""
    generator = np.random.default_rng(0)
    semantic, noise = generator.uniform(0.2, 0.8, count), generator.normal(0, 0.005, count)
    put_rows(codec, "semantic", "ecapa_similarity", semantic.tolist())
    put_rows(codec, "acoustic", "ecapa_similarity", (semantic + shift + noise - noise.mean()).tolist())
    claim = one(judged(codec), "less of the voice")
    assert claim.verdict == verdict and words in claim.evidence


def test_nothing_is_claimed_of_a_codec_behind_a_constant(codec):
    """Of all its claims one line is left, and the other codec keeps its own."""
    before = judged(codec)
    other = codec.parent / "codec_other"
    shutil.copytree(codec, other)
    put(other, "test-clean", "combined", mel=3.0)
    put(codec, "test-clean", "mean_spectrum", mean_spectrum=2.9)
    found = judged(codec.parent)
    (claim,) = [claim for text, claim in found.items() if text.startswith("codec_other")]
    assert claim.verdict == "does not hold" and "3.00 against 2.90" in claim.evidence
    kept = [text for text in found if text.startswith(codec.name)]
    assert len(kept) == len([text for text in before if "masked" not in text])
