# Copyright 2026 The hasrd authors
# Apache-2.0
# Command-line options of a bash script. The script sets its defaults as variables in lower case, then sources this:
#
#   help_message="Usage: $0 [--stage 1] [--skip_train false]"
#   stage=1
#   skip_train=false
#   . utils/parse_options.sh
#
# "--stage 3" and "--stage=3" set stage; a variable whose default is true or false takes only these, one whose default is a
# whole number only such, one with a point (4.0) any number that is not negative. What follows the options stays in "$@". An unknown option or a missing value ends the script with status 2 and one line.

_po_names() {
    compgen -v | grep -E '^[a-z][a-z0-9_]*$' | grep -v -E '^(help_message|.*_proxy)$'
}

_po_fail() {
    echo "error: $(basename "$0"): $1 ($0 --help lists the options)" >&2
    exit 2
}

# The known names nearest to $1: those with the least edits, at most half of its letters.
_po_closest() {
    _po_names | awk -v want="$1" '
        function least(a, b) { return a < b ? a : b }
        function edits(s, t,    i, j, n, m, d, cost) {
            n = length(s); m = length(t)
            for (i = 0; i <= n; i++) d[i, 0] = i
            for (j = 0; j <= m; j++) d[0, j] = j
            for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) {
                cost = substr(s, i, 1) != substr(t, j, 1)
                d[i, j] = least(least(d[i-1, j] + 1, d[i, j-1] + 1), d[i-1, j-1] + cost)
            }
            return d[n, m]
        }
        {
            # A name that contains the word counts as near.
            e = index($0, want) && length(want) > 2 ? 1 : edits(want, $0)
            if (e <= length(want) / 2) printf "%d --%s\n", e, $0
        }' | sort -n | awk '
        NR == 1 { best = $1 }
        $1 <= best + 1 && shown < 3 { printf "%s%s", (shown++ ? ", " : ""), $2 }'
}

# The defaults of those that were given: an option may come twice.
declare -A _po_defaults=()
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h)
            echo "${help_message:-$0 has no help message}"
            exit 0
            ;;
        --)
            shift
            break
            ;;
        --*) ;;
        *) break ;;
    esac
    _po_name=${1%%=*}
    _po_key=${_po_name#--}
    _po_key=${_po_key//-/_}
    if ! _po_names | grep -x -- "${_po_key}" >/dev/null; then
        _po_near=$(_po_closest "${_po_key}")
        _po_fail "unknown option '${_po_name}'${_po_near:+, did you mean ${_po_near}?}"
    fi
    if [[ $1 == *=* ]]; then
        _po_value=${1#*=}
    elif [ $# -ge 2 ]; then
        _po_value=$2
        shift
    else
        _po_fail "option '${_po_name}' needs a value"
    fi
    shift
    _po_default=${_po_defaults[${_po_key}]-${!_po_key}}
    _po_defaults[${_po_key}]=${_po_default}
    _po_pattern= _po_takes=
    if [[ ${_po_default} =~ ^(true|false)$ ]]; then
        _po_pattern='^(true|false)$' _po_takes="true or false"
    elif [[ ${_po_default} =~ ^[0-9]+$ ]]; then
        _po_pattern='^(0|[1-9][0-9]{0,8})$' _po_takes="a whole number"
    elif [[ ${_po_default} =~ ^[0-9]+\.[0-9]+$ ]]; then
        _po_pattern='^[0-9]+(\.[0-9]+)?$' _po_takes="a number"
    fi
    [[ ${_po_value} =~ ${_po_pattern} ]] || _po_fail "option '${_po_name}' takes ${_po_takes}, not '${_po_value}'"
    printf -v "${_po_key}" '%s' "${_po_value}"
done
unset _po_name _po_key _po_value _po_near _po_default _po_defaults _po_pattern _po_takes
unset -f _po_names _po_fail _po_closest
