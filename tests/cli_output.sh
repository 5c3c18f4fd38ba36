#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Where output goes, that it is there whole or not at all, and how signals end commands.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
source=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

nothing_beside() { [ -z "$(find . -name '.tandem-*')" ]; }

small="--set workload.requests=300 --quiet"
"$tandem" run default $small
"$tandem" run default $small --set seed=2
cat >trace.jsonl <<'T'
{"arrival_s": 0.0, "prompt_tokens": 10, "output_tokens": 5}
{"arrival_s": 1.0, "prompt_tokens": 20, "output_tokens": 6}
T
cat >perf.csv <<'T'
model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel
llama2-70b,h100,512,1,128,50,30,8
llama2-70b,h100,512,2,128,80,31,8
llama2-70b,h100,1024,1,128,90,30.5,8
T

# A device that is always full stays what it is, and the sentence names it.
writers=(
    "report 1 --no-headroom"
    "report 1 --format csv"
    "compare 1 2"
    "trace convert trace.jsonl"
)
ln -s /dev/full full
for w in "${writers[@]}"; do
    fails_with 1 'full: cannot be written: No space left on device' "$tandem" $w --out full
    [ -L full ] && [ -c /dev/full ]
done
fails_with 1 'full: cannot be written: No space left on device' "$tandem" sweep default --no-db $small --vary seed=1,2 --csv full
[ -L full ] && [ -c /dev/full ]

# A FIFO is written through.
mkfifo fifo
for w in "${writers[@]}"; do
    cat fifo >read.txt &
    "$tandem" $w --out fifo >out.txt
    wait $!
    "$tandem" $w --out regular >out.txt
    cmp read.txt regular && [ -p fifo ]
done

# Standard output by its name, to a file and to a pipe, with what is printed after it.
"$tandem" trace convert trace.jsonl --out /dev/stdout >named.jsonl
"$tandem" trace convert trace.jsonl >plain.jsonl
"$tandem" trace convert trace.jsonl --out /dev/stdout | cmp - plain.jsonl
cmp named.jsonl plain.jsonl
"$tandem" report 1 --no-headroom --out /dev/stdout >page.txt
[ "$(tail -1 page.txt)" = "run 1 is in /dev/stdout" ] && [ "$(head -1 page.txt)" = "<!doctype html>" ]

# A link stays, and the file that it leads to is replaced; a mode stays; a new file's is by the umask.
mkdir elsewhere
echo old >elsewhere/page && chmod 640 elsewhere/page
ln -s elsewhere/page link
"$tandem" compare 1 2 --out link >out.txt
[ -L link ] && [ "$(stat -c %a elsewhere/page)" = 640 ] && grep -q '</html>' elsewhere/page
(umask 027 && "$tandem" compare 1 2 --out made.html >out.txt)
[ "$(stat -c %a made.html)" = 640 ]
ln -s elsewhere/made dangling
"$tandem" trace convert trace.jsonl --out dangling && [ -L dangling ] && cmp elsewhere/made plain.jsonl
nothing_beside

# What fails leaves the old file.
echo old >kept
printf '%s\n' '{"arrival_s": 0.0, "prompt_tokens": 10, "output_tokens": 5}' nonsense >bad.jsonl
fails_with 2 'bad.jsonl:2' "$tandem" trace convert bad.jsonl --out kept
[ "$(cat kept)" = old ]
fails_with 2 'there is no run 9' "$tandem" compare 1 9 --out kept
[ "$(cat kept)" = old ]
fails_with 1 'no/such: cannot be written: No such file or directory' "$tandem" trace convert trace.jsonl --out no/such
fails_with 1 'elsewhere: cannot be written: Is a directory' "$tandem" trace convert trace.jsonl --out elsewhere
nothing_beside

# A profile that would not be read again does not replace one that is.
"$tandem" profile import perf.csv --model llama-2-70b --tensor-parallel 8 --out profile.json >out.txt
cp profile.json before.json
fails_with 2 'nobody' "$tandem" profile import perf.csv --model llama-2-70b --tensor-parallel 8 --base nobody --out profile.json
cmp profile.json before.json
nothing_beside

# A full standard output, and none.
for c in "list" "--help" "--version" "run --help" "describe default" "report 1 --format csv" "compare 1 2" \
    "run default --no-db --set workload.requests=50" "trace convert trace.jsonl" "trace stat trace.jsonl"; do
    status=0
    "$tandem" $c >/dev/full 2>err.txt || status=$?
    [ $status = 1 ] && [ "$(wc -l <err.txt)" = 1 ] && grep -q 'standard output: No space left on device$' err.txt ||
        { echo "tandem $c >/dev/full: $status"; cat err.txt; exit 1; }
    status=0
    "$tandem" $c >&- 2>err.txt || status=$?
    [ $status = 1 ] && grep -q 'standard output: Bad file descriptor$' err.txt || { echo "tandem $c >&-: $status"; cat err.txt; exit 1; }
done
python3 -c 'for i in range(200000): print("{\"arrival_s\": %d, \"prompt_tokens\": 10, \"output_tokens\": 5}" % i)' >long.jsonl
status=0
"$tandem" trace convert long.jsonl >/dev/full 2>err.txt || status=$?
[ $status = 1 ] && grep -q 'standard output: No space left on device$' err.txt
"$tandem" run default $small --no-db >&- # prints nothing, and misses nothing

# Whoever reads no more hears nothing, also where SIGPIPE is ignored.
for ignored in "" "trap '' PIPE;"; do
    bash -c "$ignored"' { "$0" trace convert long.jsonl 2>err.txt; echo $? >status; } | head -1 >out.txt' "$tandem" || true
    [ ! -s err.txt ] && [ "$(cat status)" = 141 ] || { cat status err.txt; exit 1; }
done

# A page whose name nobody asked for replaces only a page of the same database.
"$tandem" report 1 --no-headroom --quiet && cp run-1.html first.html
"$tandem" report 1 --no-headroom --quiet
"$tandem" run default $small --db other.db
fails_with 2 'run-1.html: is there, and is not a page of other.db' "$tandem" report 1 --no-headroom --db other.db
cmp run-1.html first.html
"$tandem" report 1 --no-headroom --quiet --db other.db --out run-1.html
if cmp -s run-1.html first.html; then exit 1; fi
fails_with 2 'run-1.html: is there, and is not a page of tandem.db' "$tandem" report 1 --no-headroom
"$tandem" report 1 --no-headroom --quiet --db "$folder/other.db" # the same one by another name
echo mine >run-2.html
fails_with 2 'run-2.html: is there' "$tandem" report 2 --no-headroom
[ "$(cat run-2.html)" = mine ]
if grep -q "$folder" run-1.html; then exit 1; fi

# What cannot be read to its end is no end.
fails_with 2 'is a folder' "$tandem" trace stat elsewhere
fails_with 2 'is a folder' "$tandem" run ./elsewhere
fails_with 2 'holds a NUL byte' "$tandem" run /dev/zero

# Signals end a command within a second, wherever it is.
mkfifo endless
ends() { # SIGNAL STATUSES WORDS COMMAND…: of a|b either is right, where a slow machine may take too long to end by itself
    local signal=$1 expected=$2 words=$3 status=0 before
    shift 3
    "$@" >out.txt 2>err.txt &
    local job=$!
    sleep "${wait_s:-0.5}"
    before=$(date +%s%N)
    kill -"$signal" $job
    wait $job || status=$?
    local ms=$((($(date +%s%N) - before) / 1000000))
    [[ "|$expected|" == *"|$status|"* ]] || { echo "expected status $expected, found $status: $*"; cat err.txt; exit 1; }
    grep -qF -- "$words" err.txt || { echo "expected \"$words\": $*"; cat err.txt; exit 1; }
    [ "$ms" -lt "${most_ms:-1500}" ] || { echo "took $ms ms: $*"; exit 1; } # half of it for a busy machine
    nothing_beside
}
feed() { while cat trace.jsonl; do sleep 0.1; done >endless; }
feed &
feeder=$!
exec 9<>endless
ends INT 130 'tandem trace: interrupted' "$tandem" trace stat endless
ends TERM 143 'tandem trace: interrupted' "$tandem" trace convert endless --out kept
[ "$(cat kept)" = old ]
ends HUP 129 'tandem run: interrupted' "$tandem" run default --no-db --set 'workload={"trace":"endless"}'
kill $feeder
exec 9<&-
wait_s=1.5 # it has to have begun
long="--set workload.requests=100000000"
ends INT 1 'interrupted; what had finished was kept' "$tandem" run default $long --db long.db
python3 -c '
import sqlite3
assert sqlite3.connect("long.db").execute("SELECT status FROM run").fetchall() == [("interrupted",)]'
ends TERM '1|143' 'interrupted' "$tandem" run default $long --no-db
ends HUP '1|129' 'interrupted' "$tandem" run default $long --no-db
ends HUP '1|129' 'goes on where it stopped' "$tandem" sweep default $long --vary seed=1,2 -j 1 --db long.db --quiet
ends INT '1|130' 'interrupted' "$tandem" plan default $long -j 1 --no-db --quiet
paced="--pace 0.01 --set model=$source/tests/data/tiny_llama.json"
ends INT 1 'interrupted; what had finished was kept' "$tandem" engine serve engine-demo $paced --db served.db
ends INT 130 'tandem validate: interrupted' "$tandem" validate theory -j 1
"$tandem" run default --quiet --db headroom.db --set workload.requests=50000
ends INT '1|130' 'interrupted' "$tandem" report 1 --headroom -j 1 --db headroom.db --out headroom.html
[ ! -e headroom.html ]

# nohup's SIGHUP is ignored.
(trap '' HUP && exec "$tandem" run default --no-db --set workload.requests=200000 --quiet) &
sleep 0.2
kill -HUP $! 2>/dev/null || true
wait $!
