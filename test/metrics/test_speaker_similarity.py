# Copyright 2026 The hasrd authors
# Apache-2.0
import numpy as np
import pytest

from hasrd.metrics.speaker_similarity import SpeakerSimilarity, embed, similarity

needs_resemblyzer = pytest.mark.skipif(
    not SpeakerSimilarity.available(), reason="Resemblyzer is not installed (extra: eval)"
)


def voice(pitch, seconds=2.0, seed=0):
    time = np.arange(int(16000 * seconds)) / 16000
    generator = np.random.default_rng(seed)
    wave = sum(np.sin(2 * np.pi * pitch * k * time + generator.uniform(0, 6)) / k for k in range(1, 20))
    return (0.05 * wave * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)


@needs_resemblyzer
def test_same_voice_is_closer_than_another():
    same = similarity(
        embed(voice(110)),
        embed(voice(110) + 0.001 * np.random.default_rng(1).standard_normal(32000)),
    )
    other = similarity(embed(voice(110)), embed(voice(240)))
    assert other < same <= 1.0 + 1e-6
    assert similarity(embed(voice(110)), embed(voice(110))) == pytest.approx(1.0, abs=1e-5)


@needs_resemblyzer
def test_silence_and_clips_without_voice():
    assert embed(np.zeros(16000, np.float32)) is None
    assert similarity(embed(voice(110)), None) == 0.0
    hiss = 1e-4 * np.random.default_rng(0).standard_normal(784).astype(np.float32)
    assert np.isfinite(embed(hiss)).all()


@needs_resemblyzer
def test_it_is_the_cosine_of_the_packages_own_embeddings(clean, noisy):
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    a, b = (encoder.embed_utterance(preprocess_wav(wave)) for wave in (clean, noisy(clean, 10)))
    expected = np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    assert similarity(embed(clean), embed(noisy(clean, 10))) == pytest.approx(expected, abs=1e-5)
