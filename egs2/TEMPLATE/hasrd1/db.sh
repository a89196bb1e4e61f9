# Copyright 2026 The hasrd authors
# Apache-2.0
# Where the corpora are. Set a variable here or in the environment; an empty one means: download into "downloads".

# LibriSpeech, the folder with train-clean-100, dev-clean, ... in it.
LIBRISPEECH=${LIBRISPEECH:-}
# Asterisk's prompts, a folder with Debian's packages (asterisk-core-sounds-*.deb) or with what is in them.
ASTERISK=${ASTERISK:-}
