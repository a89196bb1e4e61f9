# Copyright 2026 The hasrd authors
# Apache-2.0
import pytest
from exp_tree import put, put_probe, put_rate

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
    return {claim.text: claim for claim in claims(collect([codec]), ["test-clean"], **options)}


def one(found, part):
    (claim,) = [claim for text, claim in found.items() if part in text]
    return claim


def test_all_hold(codec):
    found = judged(codec)
    assert {part: one(found, part).verdict for part in CLAIMS} == dict.fromkeys(CLAIMS, "holds")
    assert one(found, "PNMI").evidence.startswith("0.500; shuffled 0.050; best acoustic 0.300 (of 1024 entries")
    assert "WER 21.0 against 24.0; the paper 21.0 against 24.2" in one(found, "all tokens together").evidence
    assert one(found, "voice than the acoustic").evidence.startswith("speaker similarity (ecapa) 0.20 against 0.60")


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
    assert claim.holds and "0.50 against 0.70" in claim.evidence and ".15" not in claim.evidence


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


def test_no_claim_holds_by_a_difference_within_the_intervals(codec):
    assert "overlap" not in one(judged(codec), "less of the voice").evidence
    put(codec, "test-clean", "acoustic", ecapa_similarity=0.21)
    claim = one(judged(codec), "less of the voice")
    assert claim.evidence.endswith("intervals overlap") and claim.verdict == "does not hold"
