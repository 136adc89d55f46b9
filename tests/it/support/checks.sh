# What guests count their checks with. It stands before a test's own functions,
# which set `name` to what they look at; `finish` ends the script.
# shellcheck shell=sh disable=SC2154

checks=0
failures=0

# check DESCRIPTION COMMAND...: the command must succeed.
check() {
    description=$1
    shift
    checks=$((checks + 1))
    if ! "$@"; then
        echo "failed: $name: $description"
        failures=$((failures + 1))
    fi
}

# same EXPECTED GOT
same() {
    [ "$1" = "$2" ] || { echo "expected $1, got $2"; false; }
}

finish() {
    echo "$checks checks, $failures failures"
    [ "$failures" -eq 0 ]
}
