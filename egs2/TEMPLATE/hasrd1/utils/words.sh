# Copyright 2026 The hasrd authors
# Apache-2.0
# What hasrd.sh asks the toolkit for: its entry points, the words of an option that holds options, and settings.

hasrd() { # $1: entry point, then its options
    attend ${python} -m "hasrd.bin.$1" "${@:2}"
}
split_words() { # $1: array to fill, $2: name of the option, $3: its text; the words are those that a training reads
    local words
    if [ -z "$3" ]; then eval "$1=()"; return; fi
    words=$(hasrd recipe_options words --option "$2" --text "$3") || exit 1
    eval "$1=(${words})"
}
setting() { # $1: configuration, $2: options that override it, $3: name; its value, of a mapping the keys, nothing for none
    hasrd recipe_options setting --config "$1" --args "$2" --name "$3"
}
