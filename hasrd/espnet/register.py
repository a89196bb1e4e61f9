# Copyright 2026 The hasrd authors
# Apache-2.0
"""Importing this makes our frontends and encoders choices of ESPnet's own ASR task: `import hasrd.espnet.register`.

ESPnet's table of choices is closed to import paths, so a stock recipe that shall run our encoder needs this import in
each of its processes: `python -m hasrd.espnet` (see hasrd/espnet/__main__.py) does it for a recipe's programs, and a
script of one's own states the line before it builds `espnet2.bin.asr_inference.Speech2Text`.

The names are those of `hasrd.tasks.asr.OURS`: the frontends `upstream` and `layer_mix`, and our encoders, of which
those that ESPnet has a class of the same name for (hubert, wav2vec2, whisper) stay ESPnet's.
"""

from __future__ import annotations

from hasrd.train.entry import without_type_checks

with without_type_checks():
    from hasrd.tasks.asr import OURS, ASRTask

for _choices in ASRTask.class_choices_list:
    for _name in OURS.get(_choices.name, {}):
        _choices.register(_name)
