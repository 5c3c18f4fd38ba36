#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Instructions per simulated request, counted by callgrind on the release build, within 5 % of what is written in
# tests/instructions.txt. The counts belong to one compiler; with another the test says so and passes. --write puts the
# counts there, and a line with them at the end of tests/instructions_history.txt.
# usage: release_instructions.sh TANDEM [--write]
set -eu
tandem=$1
file=$(dirname "$0")/instructions.txt
compiler="$(gcc --version | head -1) $(uname -m)"
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed"; exit 0; }

count() { # REQUESTS OPTIONS...
    local requests=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$tandem" run default --no-db --quiet \
        --set "workload.requests=$requests" "$@" 2>&1 | awk '/Collected/ {print $4}'
}

per_request() { # the second 6 000 requests of 12 000, so that starting up does not count
    local less more
    less=$(count 6000 "$@")
    more=$(count 12000 "$@")
    echo $(((more - less) / 6000))
}

measured=$(
    echo "compiler: $compiler"
    echo "one_replica $(per_request)"
    echo "near_saturation $(per_request --set policy.batching=unified_budget --set workload.arrivals.rate_per_s=19)"
    echo "vllm_preset $(per_request --set engine=vllm-0.19 --set policy.batching=unified_budget)"
    echo "eight_replicas $(per_request --set policy.batching=prefill_first --set cluster.replicas=8 \
        --set cluster.routing=least_outstanding_tokens --set workload.arrivals.rate_per_s=60)"
)
if [ "${2:-}" = --write ]; then
    echo "$measured" | tee "$file"
    awk -v date="$(date -u +%F)" -v of="$("$tandem" --version | awk '{print $2}')" 'NR > 1 { counts[$1] = $2 }
        END { printf "%-10s %-8s %12d %15d %12d %14d\n", date, of, counts["one_replica"], counts["near_saturation"],
              counts["vllm_preset"], counts["eight_replicas"] }' "$file" >>"$(dirname "$0")/instructions_history.txt"
    exit 0
fi
[ "$(head -1 "$file")" = "$(head -1 <<<"$measured")" ] || { echo "skipped: counts are of $(head -1 "$file")"; exit 0; }
last=$(awk 'END { print $3, $4, $5, $6 }' "$(dirname "$0")/instructions_history.txt")
[ "$last" = "$(awk 'NR > 1 { printf "%s%s", s, $2; s = " " }' "$file")" ] ||
    { echo "the last line of instructions_history.txt has other counts than instructions.txt; run with --write"; exit 1; }
paste -d' ' "$file" - <<<"$measured" | tail -n +2 | awk '
    { off = 100 * ($4 / $2 - 1); printf "%-18s %6d written, %6d now (%+.1f %%)\n", $1, $2, $4, off
      if (off > 5 || off < -5) bad = 1 }
    END { if (bad) print "more than 5 % off; if it is meant, run tests/release_instructions.sh TANDEM --write"; exit bad }'
