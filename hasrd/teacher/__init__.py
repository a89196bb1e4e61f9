# Copyright 2026 The hasrd authors
# Apache-2.0
"""Teachers: trained models that a level of a codec is distilled from. A class is named by short name or import path.

A teacher of speech gives vectors of frames. It is a `torch.nn.Module` without parameters of its own to train:
    SpeechTeacher(**conf)
    size            D, values of a vector
    sample_rate     of the waves, in Hz
    frame_shift     seconds from frame to frame
    first_centre    seconds from the start of the wave to the centre of what the first frame sees
    model_hash      hash of what shapes it: its weights, and whatever else may change; with another one, what it has
                    said is not used any more
    num_frames(num_samples)             frames of a wave
    forward(waves (B, N), lengths (B,)) -> features (B, T, D), lengths (B,) in frames
    ready(device)                       move it there for good, in the form that is fastest there; returns it

A teacher of text gives vectors of texts:
    SentenceTeacher(**conf)
    size, model_hash, ready(device)
    embed(texts) -> (N, D) float32; what a text gets does not depend on the others

`hasrd.bin.dump_teacher` runs one over a data set and keeps what it says (`hasrd.teacher.cache`);
`hasrd.data.targets` reads that for the training.
"""

CHOICES = {
    "speech": "hasrd.teacher.speech:SpeechTeacher",
    "text": "hasrd.teacher.text:SentenceTeacher",
}
