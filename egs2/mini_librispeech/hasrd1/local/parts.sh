# Copyright 2026 The hasrd authors
# Apache-2.0
# Which parts of LibriSpeech this recipe takes, for run.sh and data.sh: sets train_part, test_parts and download. db.sh is
# sourced before.

if [ -n "${LIBRISPEECH:-}" ]; then
    _root=${LIBRISPEECH}
    if [ -d "${_root}/LibriSpeech" ]; then _root=${_root}/LibriSpeech; fi
    download=
    train_part=train-clean-100
    test_parts="test-clean test-other"
    # A copy of the mini subset, or a part of the corpus without these.
    if [ ! -d "${_root}/${train_part}" ] && [ -d "${_root}/train-clean-5" ]; then train_part=train-clean-5; fi
    _found=
    for _part in test-clean test-other dev-clean-2; do
        if [ -d "${_root}/${_part}" ]; then _found+="${_found:+ }${_part}"; fi
    done
    test_parts=${_found:-${test_parts}}
    unset _root _part _found
else
    download=mini_librispeech
    train_part=train-clean-5
    test_parts=dev-clean-2
fi
