#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A sample of what `make faults` tries: failed allocations of small commands end in one sentence and status 1, or change
# nothing. The library that fails them cannot be loaded before a program with sanitizers.
# usage: release_faults.sh TANDEM
set -eu
tandem=$1
faults=$(dirname "$0")/faults
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 0; }
compiler=(${CC:-cc}) # of one word, or with one before it, such as a cache
command -v "${compiler[0]}" >/dev/null || { echo "skipped: there is no C compiler"; exit 0; }
"${compiler[@]}" -std=c17 -O1 -fPIC -shared "$faults/failing_malloc.c" -o "$folder/failing_malloc.so"
"$faults/run" "$folder/failing_malloc.so" "$tandem" --every 17 --only run-nothing,run-varied-nothing,plan-analytic,trace-stat,list,describe-key,profile-show,profile-check,sweep-nothing
