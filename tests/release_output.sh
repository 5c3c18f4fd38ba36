#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Reads and writes that fail, one after another: a sentence with the file's name, and the old file stays.
set -euo pipefail
tandem=$(realpath "$1")
faults=$(realpath "$(dirname "$0")")/faults/faults.c
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
${CC:-cc} -shared -fPIC -O1 "$faults" -o faults.so -ldl

fails() { # CALL AT PATH COMMAND…: exit status 1, and one sentence that ends with why
    local call=$1 at=$2 path=$3 status=0
    shift 3
    LD_PRELOAD=$folder/faults.so FAULT=$call FAULT_AT=$at FAULT_PATH=$path FAULT_ERRNO=5 "$@" >out.txt 2>err.txt || status=$?
    [ "$status" = 1 ] && [ "$(wc -l <err.txt)" = 1 ] && grep -q "$words.*: Input/output error$" err.txt ||
        { echo "$call $at of $path: status $status, $(cat err.txt): $*"; exit 1; }
}

"$tandem" run default --quiet --set workload.requests=2000
"$tandem" run default --quiet --set workload.requests=2000 --set seed=2
python3 -c 'for i in range(5000): print("{\"arrival_s\": %d, \"prompt_tokens\": 10, \"output_tokens\": 5}" % i)' >trace.jsonl
gzip -k trace.jsonl

# Writing: whichever call fails, the old file stays, and nothing lies next to it.
echo old >kept
for c in "trace convert trace.jsonl --out kept" "report 1 --no-headroom --out kept" "report 1 --format csv --out kept" \
    "compare 1 2 --out kept" "sweep default --no-db --quiet --set workload.requests=50 --vary seed=1,2 --csv kept"; do
    for fault in "write 1" "fsync 1" "close 1" "rename 1"; do
        words='kept: cannot be written' fails $fault .tandem- "$tandem" $c
        [ "$(cat kept)" = old ] && [ -z "$(find . -name '.tandem-*')" ]
    done
done
words='kept: cannot be written' fails write 3 .tandem- "$tandem" trace convert trace.jsonl --out kept # not the first, and not the last
[ "$(cat kept)" = old ]

# Reading: an error is no end of file, wherever it comes.
for n in 1 2 3; do
    words='trace.jsonl: cannot be read' fails fread $n trace.jsonl "$tandem" trace stat trace.jsonl
done
words='trace.jsonl.gz: cannot be read' fails fread 1 trace.jsonl.gz "$tandem" trace stat trace.jsonl.gz
"$tandem" describe default >scenario.json
words='scenario.json: cannot be read' fails fread 1 scenario.json "$tandem" run scenario.json --no-db
"$tandem" report 1 --no-headroom --quiet
words='run-1.html: cannot be read' fails fread 1 run-1.html "$tandem" report 1 --no-headroom
