#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A sample of what `make faults` tries: allocations and file operations of nearly every command fail, a few of each, and
# end in one sentence and status 1, or change nothing. The libraries that fail them cannot be loaded before a program with
# sanitizers.
# usage: release_faults.sh TANDEM
set -eu
tandem=$(realpath "$1")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 0; }
compiler=(${CC:-cc}) # of one word, or with one before it, such as a cache
command -v "${compiler[0]}" >/dev/null || { echo "skipped: there is no C compiler"; exit 0; }
[ "$(uname -m)" = x86_64 ] || { echo "skipped: system calls are only known on x86-64"; exit 0; }
for which in malloc io; do
    "${compiler[@]}" -std=c17 -O1 -fPIC -shared -I. "tests/faults/failing_$which.c" -o "$folder/failing_$which.so"
done
# Quick ones of every kind; `library` needs a program that only `make faults` builds.
"tests/faults/run" "$folder" "$tandem" --sites 1 --most 3 --only \
run-rows,run-varied-nothing,run-tiers,run-trace,run-plugin-batch,sweep-best,plan-analytic,report-text,report-markdown,\
report-prometheus,report-vllm,report-html,report-sweep,report-plan,compare,compare-html,trace-stat,trace-generate,\
convert-mooncake,convert-stamps,convert-gzip,list,describe-key,profile-import,import-stated,import-aiconfigurator,\
import-vidur,import-splitwise,profile-show,profile-check,fit-kernels,calibrate-vllm_detailed,measured-guidellm,\
measured-levels,measured-own,measured-points,theory,engine-serve
