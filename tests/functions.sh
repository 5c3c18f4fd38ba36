# SPDX-License-Identifier: MIT
# What several test scripts do; they source this file.

# The command ends with this status and one sentence on standard error, which holds the text.
fails_with() { # STATUS TEXT COMMAND...
    local status=$1 text=$2 out got=0
    shift 2
    out=$("$@" 2>&1 >/dev/null) || got=$?
    [ "$got" = "$status" ] || { echo "expected status $status, found $got: $*: $out"; exit 1; }
    grep -qF -- "$text" <<<"$out" || { echo "expected \"$text\", found: $out"; exit 1; }
    [ "$(wc -l <<<"$out")" = 1 ] || { echo "expected one line, found: $out"; exit 1; }
}

# The first column of every row, a line each.
query() { # DATABASE SQL
    python3 -c 'import sqlite3, sys; print(*(r[0] for r in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])), sep="\n")' "$@"
}
