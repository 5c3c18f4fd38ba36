#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The benchmark says the median and the spread of alternating runs, and compares with figures of this machine alone.
set -eu
bench=$(dirname "$1")/tests/bench/bench
[ -x "$bench" ] || { echo "skipped: $bench is not built"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

small=(--only "Poisson 8/s" --requests 2000)
"$bench" "${small[@]}" --repeat 3 --json "$work/here.json" >"$work/out.txt" 2>/dev/null
grep -q 'is absent; there is nothing to replay' "$work/out.txt" && { echo "skipped: no traces"; exit 0; }
[ -e "$work/here.json" ] || { echo "skipped: no traces"; exit 0; }
python3 - "$work" <<'P'
import json, sys
figures = json.load(open(sys.argv[1] + "/here.json"))
assert figures["rows"], figures
for row in figures["rows"]:
    assert row["runs"] == 3 and row["requests"] == 2000, row
    for name in "wall_s", "requests_per_s", "bare_events_per_s", "bare_events_per_request":
        assert 0 < row[name + "_least"] <= row[name] <= row[name + "_most"], (name, row)
    assert abs(row["wall_s"] * row["requests_per_s"] - 2000) < 1e-6, row  # of three runs both medians are the same one
for key, value in ("processor", "another"), ("processors", 4097), ("compiler", "another"):
    other = json.loads(json.dumps(figures))
    other["machine"][key] = value
    json.dump(other, open("%s/%s.json" % (sys.argv[1], key), "w"))
del figures["machine"]
json.dump(figures, open(sys.argv[1] + "/nowhere.json", "w"))
P
for other in processor processors compiler nowhere; do
    got=0
    "$bench" "${small[@]}" --repeat 1 --against "$work/$other.json" >"$work/out.txt" 2>"$work/err.txt" || got=$?
    [ "$got" = 2 ] && [ ! -s "$work/out.txt" ]
    grep -q "$other.json: is of another machine, and figures of two are not compared: expected {" "$work/err.txt"
done
got=0
"$bench" "${small[@]}" --against "$work/missing.json" >/dev/null 2>"$work/err.txt" || got=$?
[ "$got" = 2 ] && grep -q 'missing.json' "$work/err.txt"
"$bench" "${small[@]}" --repeat 1 --against "$work/here.json" 2>/dev/null | grep 'Poisson 8/s' | grep -Eq '[0-9.]+ x'
