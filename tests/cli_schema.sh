#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tables of a scenario: described, documented, as a JSON Schema, and what they say to names that are nearly right.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
"$(dirname "$0")/scenario_schema" "$tandem"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# A branch, one field, a policy's own parameter, the names that may stand somewhere.
"$tandem" describe scenario.cluster.failures >out.txt
grep -qE '^  cluster.failures.mttr_s +number, 1e-07 … 1e\+09 s, default 600$' out.txt
[ "$(grep -c '^  cluster' out.txt)" = 8 ]
"$tandem" describe scenario.policy.batching.token_budget | grep -qE '^  policy.batching.token_budget +whole number, 1 … 1e\+06 tokens, default 512'
"$tandem" describe scenario.workload.arrivals | grep -qE '^  closed_loop +clients that send'
"$tandem" describe scenario.cluster.pools.mine.device | grep -q 'tandem list devices, default the scenario'
"$tandem" describe scenario.output --schema | python3 -c 'import json, sys; assert json.load(sys.stdin)["properties"]["timeseries_s"]["maximum"] == 1e9'

# What was meant.
fails_with 2 'scenario.cluster: unknown key "failurs"; did you mean "failures"? allowed: pools, ' "$tandem" describe scenario.cluster.failurs
fails_with 2 'scenario.seed: holds no keys, found "of"' "$tandem" describe scenario.seed.of
fails_with 2 'nothing is called "chunkd_prefill"; did you mean "chunked_prefill"? see tandem list' "$tandem" describe chunkd_prefill
fails_with 2 'nothing is called "h100"; did you mean "h100-' "$tandem" describe h100
fails_with 2 'nothing is called "senario"; did you mean "scenario"?' "$tandem" describe senario
fails_with 2 'nothing is called "zzzzzz"; see tandem list' "$tandem" describe zzzzzz
fails_with 2 '--schema: expected a scenario or a part of it, such as scenario.cluster, found "fcfs"' "$tandem" describe fcfs --schema
fails_with 2 'policy: unknown key "bathcing"; did you mean "batching"? allowed: batching, order, ' "$tandem" run default --set policy.bathcing=continuous
fails_with 2 'found "poison"; did you mean "poisson"?' "$tandem" run default --set workload.arrivals=poison
fails_with 2 'found "fixd"; did you mean "fixed"?' "$tandem" run default --set workload.lengths=fixd
fails_with 2 'policy.admission: unknown key "blocks"; allowed: name' "$tandem" run default --set policy.admission='{"name":"on_demand","blocks":1}'
fails_with 2 'cluster.placement: unknown key "link"; allowed: name' "$tandem" run default --set cluster.placement='{"name":"colocated","link":{}}'

# An editor's key makes no difference, not even to what is kept of the scenario; an object that names an admission rule is one.
small="--set workload.requests=20 --quiet"
"$tandem" run default $small
"$tandem" run default $small --set '$schema=docs/scenario.schema.json'
[ "$(python3 -c 'import sqlite3; print(sqlite3.connect("tandem.db").execute("SELECT count(DISTINCT scenario_hash) FROM run").fetchone()[0])')" = 1 ]
fails_with 2 '$schema: expected a string, found 1' "$tandem" run default $small --set '$schema=1'
"$tandem" run default $small --no-db --set policy.admission='{"name":"reserve_max"}'

# Whatever a scenario may name can be described.
"$tandem" describe scenario --schema >whole.json
python3 - whole.json <<'PYTHON' >names.txt
import json, sys

def names(at):
    if isinstance(at, dict):
        yield from (v for v in at.get("enum", []) if isinstance(v, str))
        if isinstance(at.get("const"), str):
            yield at["const"]
        for v in at.values():
            yield from names(v)
    elif isinstance(at, list):
        for v in at:
            yield from names(v)

print("\n".join(sorted(set(names(json.load(open(sys.argv[1])))))))
PYTHON
[ "$(wc -l <names.txt)" -gt 60 ]
while read -r name; do
    "$tandem" describe "$name" >/dev/null || { echo "$name cannot be described"; exit 1; }
done <names.txt
