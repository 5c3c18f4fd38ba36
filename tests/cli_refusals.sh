#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is refused on the command line: a table of arguments and, indented, the whole sentence (tests/refusals/command).
# Nothing is printed but that, the exit status is 2, and no file is made.
set -eu
tandem=$(realpath "$1")
table=$(realpath "$(dirname "$0")/refusals/command")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0 count=0 arguments=
while IFS= read -r line; do
    case $line in
        '' | '#'*) ;;
        '    '*)
            got=0 count=$((count + 1))
            read -ra words <<<"$arguments"
            "$tandem" ${words[@]+"${words[@]}"} >out.txt 2>err.txt </dev/null || got=$?
            if [ "$got" != 2 ] || [ "$(cat err.txt)" != "${line#    }" ] || [ -s out.txt ]; then
                printf 'tandem %s\n    expected: %s\n    found:    %s (status %s)\n' "$arguments" "${line#    }" "$(cat err.txt)" "$got"
                failed=$((failed + 1))
            fi
            ;;
        *) arguments=$line ;;
    esac
done <"$table"
rm -f out.txt err.txt
[ -z "$(ls -A)" ] || { echo "left behind: $(ls -A)"; exit 1; }
[ "$count" -gt 0 ] && [ "$failed" = 0 ] || { echo "$failed of $count sentences"; exit 1; }
