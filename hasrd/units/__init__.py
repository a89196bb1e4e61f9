# Copyright 2026 The hasrd authors
# Apache-2.0
"""Token sets that language models are trained on: how codes are arranged, and the files of each format."""

# The first words of each vocabulary. Units have none of these ids but PAD, which delays leave.
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD = 0
