#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plug-ins: policies of shared objects on every axis, under every command, loaded where the command line names them and
# nowhere else.
set -eu
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

make_plugin() { # FILE.so OPTIONS... with the source on standard input, or named
    local out=$1
    shift
    cc -shared -fPIC -O1 -Wall -Wextra -Werror -I"$source" "$@" -o "$out"
}

rows() { # DATABASE: what was found, without what differs between any two runs
    python3 - "$1" <<'P'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute("SELECT name, scope, statistic, value FROM metric ORDER BY 1, 2, 3"):
    print(*map(repr, row))
P
}

small="--set workload.requests=300"
busy="$small --set workload.arrivals.rate_per_s=40 --set workload.max_output_tokens=100000" # no prediction is longer
make_plugin alone.so "$source/docs/examples/prompts_alone.c"
make_plugin by_prompt.so "$source/docs/examples/by_prompt.c"

# Batching; a path without '/' is of the current folder. Steps give the same rows.
"$tandem" run default $small --no-db --plugin alone.so --set policy.batching='{"name": "prompts_alone", "max_sequences": 8}' |
    grep -q 'prompts_alone, round_robin'
fails_with 2 'policy.batching: unknown key "max_seq"; did you mean "max_sequences"? allowed: name, max_sequences' \
    "$tandem" run default $small --no-db --plugin ./alone.so --set policy.batching='{"name": "prompts_alone", "max_seq": 8}'
for mode in "" --step; do
    "$tandem" run default $small --quiet --plugin=./alone.so --set policy.batching=prompts_alone --db "alone$mode.db" $mode
    rows "alone$mode.db" >"alone$mode.txt"
done
cmp alone.txt alone--step.txt

# Order and predictor: what the built-in ones find that amount to the same. The shortest prompt is the shortest job where
# all outputs are predicted alike, and where they are predicted as long as their prompts.
"$tandem" run default $busy --quiet --plugin by_prompt.so --set policy.order=shortest_prompt --db order.db
"$tandem" run default $busy --quiet --set policy.order='{"name": "sjf", "prompt_weight": 1}' --set policy.predictor=constant --db sjf.db
"$tandem" run default $busy --quiet --plugin by_prompt.so --set policy.order=sjf --set policy.predictor=by_prompt --db predictor.db
"$tandem" run default $busy --quiet --db fcfs.db
for db in order sjf predictor fcfs; do rows $db.db >$db.txt; done
cmp order.txt sjf.txt
cmp order.txt predictor.txt
if cmp -s order.txt fcfs.txt; then echo "an order that orders nothing"; exit 1; fi

# Routing, and autoscaling with one replica to spare.
two="--set cluster.replicas=2 --plugin by_prompt.so"
"$tandem" run default $busy $two --quiet --set cluster.routing=fewest_prompt_tokens --db routing.db
"$tandem" run default $busy $two --quiet --db turns.db
for db in routing turns; do rows $db.db >$db.txt; done
if cmp -s routing.txt turns.txt; then echo "a routing that routes nothing"; exit 1; fi
scaled='{"policy": {"name": "spare", "waiting": 1000}, "interval_s": 1, "cold_start_s": 1, "slow_down_s": 1}'
"$tandem" run default $small $two --quiet --set cluster.replicas=4 --set cluster.autoscaling="$scaled" --db scaled.db
"$tandem" run default $small $two --quiet --set cluster.replicas=4 --db fixed.db
[ "$(query scaled.db "SELECT value < 0.9 * (SELECT simulated_s * 4 / 3600 FROM run) FROM metric WHERE name = 'replica_hours'")" = 1 ]

# What ran is kept by file and hash, and the built-in ones are not.
[ "$(query predictor.db "SELECT axis || ' ' || policy || ' ' || file || ' ' || sha256 FROM run_plugin")" = \
    "predictor by_prompt by_prompt.so $(sha256sum by_prompt.so | cut -d' ' -f1)" ]
[ "$(query routing.db "SELECT axis FROM run_plugin")" = routing ] && [ "$(query scaled.db "SELECT axis FROM run_plugin")" = autoscaling ]
[ "$(query turns.db "SELECT count(*) FROM run_plugin")" = 0 ]

# Listed, described and meant like the rest.
"$tandem" list policies --plugin alone.so --plugin by_prompt.so >list.txt
for p in prompts_alone shortest_prompt fewest_prompt_tokens by_prompt spare; do
    grep -qE "^  $p .*\(plug-in (alone|by_prompt).so\)$" list.txt
    "$tandem" describe $p --plugin alone.so --plugin by_prompt.so | grep -q '^plug-in: ./.*.so, SHA-256 [0-9a-f]\{64\}$'
done
if "$tandem" list policies | grep -q plug-in; then exit 1; fi
fails_with 2 'did you mean "prompts_alone"?' "$tandem" run default --plugin alone.so --set policy.batching=prompt_alone
fails_with 2 'did you mean "shortest_prompt"?' "$tandem" run default --plugin by_prompt.so --set policy.order=shortest_promt
fails_with 2 'expected a batching policy (tandem list policies; --plugin brings others), found "prompts_alone"' \
    "$tandem" run default --set policy.batching=prompts_alone
for c in run sweep plan report list describe engine validate calibrate; do "$tandem" $c --help | grep -q -- '--plugin PATH'; done

# A sweep on threads, and one after the other; its runs tell of their plug-ins.
swept="default $small --plugin by_prompt.so --set policy.order=shortest_prompt --vary workload.arrivals.rate_per_s=2..8:3 --vary cluster.replicas=1,2"
"$tandem" sweep $swept -j 4 --csv threads.csv --db sweep.db --quiet >out.txt
"$tandem" sweep $swept -j 1 --csv one.csv --no-db --quiet >out.txt
cmp threads.csv one.csv
[ "$(query sweep.db "SELECT count(*) FROM run_plugin")" = 6 ]

# An unfinished sweep goes on with the same plug-in, and not with another one of its name.
python3 - <<'P'
import sqlite3
db = sqlite3.connect("sweep.db")
db.execute("UPDATE sweep SET status = 'unfinished'")
db.commit()
P
mkdir other && make_plugin other/by_prompt.so "$source/docs/examples/by_prompt.c" -g
"$tandem" sweep ${swept/by_prompt.so/other\/by_prompt.so} -j 1 --db sweep.db --quiet >out.txt
[ "$(query sweep.db "SELECT count(*) FROM sweep WHERE status = 'done'")" = 1 ] && [ "$(query sweep.db "SELECT count(*) FROM sweep")" = 2 ]
"$tandem" sweep $swept -j 1 --db sweep.db --quiet >out.txt
[ "$(query sweep.db "SELECT count(*) FROM sweep WHERE status = 'done'")" = 2 ] && [ "$(query sweep.db "SELECT count(*) FROM sweep")" = 2 ]

# A plan, and what it prints to run.
cat >plan.json <<'J'
{"name": "small", "objective": "gpus", "scenario": {"model": "llama-3.1-8b", "device": "h100-sxm", "policy": {"order": "shortest_prompt"},
 "workload": {"requests": 200, "arrivals": {"name": "poisson", "rate_per_s": 4},
  "lengths": {"prompt": {"name": "fixed", "tokens": 200}, "output": {"name": "fixed", "tokens": 20}}},
 "slo": {"ttft_s": {"p99": 2}}}, "search": {"policy.batching": ["prompts_alone", "chunked_prefill"]}, "replications": 4}
J
"$tandem" plan plan.json --plugin alone.so --plugin by_prompt.so --quiet --no-db >plan.txt
grep -q 'its first trial: tandem run FILE --plugin ./alone.so --plugin ./by_prompt.so --set' plan.txt
fails_with 2 'found "shortest_prompt"' "$tandem" plan plan.json --plugin alone.so --quiet --no-db

# The engine serves it.
"$tandem" engine serve engine-demo --plugin by_prompt.so --set policy.order=shortest_prompt --set workload.requests=5 --db served.db >out.txt
[ "$(query served.db "SELECT policy FROM run_plugin")" = shortest_prompt ]

# A kept scenario whose plug-in is not loaded, or is another one: a sentence where the run is to be run again, and the page
# is written all the same where it is not.
"$tandem" run default $small --quiet --plugin alone.so --set policy.batching=prompts_alone --db kept.db
hash=$(sha256sum alone.so | cut -d' ' -f1)
fails_with 2 "run 1: its policy \"prompts_alone\" (batching) is of the plug-in alone.so (SHA-256 $hash), which is not loaded: name that file on the command line, --plugin PATH" \
    "$tandem" report 1 --db kept.db --headroom --out page.html
[ ! -e page.html ]
"$tandem" report 1 --db kept.db --out page.html 2>err.txt && grep -q 'which is not loaded' err.txt && [ -s page.html ]
make_plugin other/alone.so -g "$source/docs/examples/prompts_alone.c"
fails_with 2 "with SHA-256 $hash, and other/alone.so, which is loaded, is another file" \
    "$tandem" report 1 --db kept.db --headroom --out page.html --plugin other/alone.so
[ "$(query kept.db "SELECT count(*) FROM headroom")" = 0 ]
"$tandem" report 1 --db kept.db --headroom --quiet --out page.html --plugin alone.so
[ "$(query kept.db "SELECT count(*) > 0 FROM headroom")" = 1 ]

# Data never becomes code: neither a scenario nor a database that names a path loads it, whatever the command. This one
# would leave a file behind as soon as it is loaded, and is found by every way that a library is looked for.
cat >evil.c <<C
#include <fcntl.h>
__attribute__((constructor)) static void ran(void)
{
    open("$work/ran", O_CREAT | O_WRONLY, 0600);
}
C
make_plugin evil.so evil.c
cp evil.so libevil.so
export LD_LIBRARY_PATH=$work
refuses() { # PATH WHERE
    fails_with 2 "(a shared object is named on the command line, --plugin PATH), found \"$1\"" "$tandem" run default --set "$2=$1" --db evil.db
}
for path in ./evil.so evil.so libevil.so "$work/evil.so"; do refuses $path policy.batching; done
for where in policy.order policy.predictor cluster.routing cluster.autoscaling.policy; do refuses ./evil.so $where; done
"$tandem" describe default | python3 -c 'import json, sys; s = json.load(sys.stdin); s["policy"] = {"batching": "./evil.so"}; json.dump(s, open("evil.json", "w"))'
"$tandem" describe engine-demo | python3 -c 'import json, sys; s = json.load(sys.stdin); s["policy"] = {"batching": "./evil.so"}; json.dump(s, open("evil-engine.json", "w"))'
fails_with 2 'found "./evil.so"' "$tandem" run evil.json --no-db
fails_with 2 'found "./evil.so"' "$tandem" sweep evil.json --vary seed=1,2 --no-db --quiet
fails_with 2 'found "./evil.so"' "$tandem" plan evil.json --no-db --quiet
fails_with 2 'found "./evil.so"' "$tandem" plan evil.json --analytic --no-db --quiet
fails_with 2 'found "./evil.so"' "$tandem" engine serve evil-engine.json --db evil.db
fails_with 2 'found "./evil.so"' "$tandem" engine serve engine-demo --policy ./evil.so --db evil.db
for i in 1 2; do "$tandem" run default $small --quiet --db hostile.db; done
python3 - <<'P'
import json, sqlite3
db = sqlite3.connect("hostile.db")
scenario = json.loads(db.execute("SELECT scenario FROM run WHERE id = 1").fetchone()[0])
scenario["policy"] = {"batching": "./evil.so", "order": "./evil.so"}
db.execute("UPDATE run SET scenario = ?, batching = './evil.so'", (json.dumps(scenario),))
db.execute("INSERT INTO run_plugin VALUES (2, 'batching', './evil.so', './evil.so', 'x')")
db.commit()
P
fails_with 2 'found "./evil.so"' "$tandem" report 1 --db hostile.db --headroom --out page.html
fails_with 2 'is of the plug-in ./evil.so' "$tandem" report 2 --db hostile.db --headroom --out page.html
for i in 1 2; do "$tandem" report $i --db hostile.db --quiet --out page.html && [ -s page.html ]; done
for f in text csv json markdown prometheus vllm; do "$tandem" report 1 --db hostile.db --format $f >out.txt || [ $f = vllm ]; done
"$tandem" compare 1 2 --db hostile.db >out.txt
"$tandem" compare 1 2 --db hostile.db --out page.html >out.txt
[ ! -e ran ] || { echo "a constructor ran that nobody had named"; exit 1; }
unset LD_LIBRARY_PATH

# What cannot be a plug-in says so: its file, its version, its policies, their names.
plugin() { fails_with 2 "$1" "$tandem" list policies --plugin "$2"; }
plugin 'plug-in ./no.so: cannot be read: No such file or directory' no.so
plugin 'plug-in no/no.so: cannot be read: No such file or directory' no/no.so
plugin 'plug-in /: is not a file' /
plugin 'plug-in: expected the path of a shared object, found none' ''
echo nothing >text.so
plugin 'plug-in ./text.so: cannot be loaded: ./text.so: file too short' text.so
plugin 'plug-in ./evil.so: does not end with TANDEM_PLUGIN(...)' evil.so
[ -e ran ] # it was named here
make_plugin abi.so -DTANDEM_PLUGIN_ABI=999 "$source/docs/examples/prompts_alone.c"
plugin 'plug-in ./abi.so: was compiled against another version of Tandem (its interface is 999, this one is 5, or their structs differ); compile it again' abi.so
echo 'const unsigned tandem_plugin[4] = {3, 8};' | make_plugin short.so -x c -
plugin 'plug-in ./short.so: was compiled against another version' short.so

cat >others.c <<'C'
#include "policies/plugin.h"
static const struct param_spec none[] = {{0}};
static size_t first(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor, (void)count, (void)r, (void)view;
    return 0;
}
static const struct routing_policy a = {.name = NAME, .summary = "the first", .params = none, .choose = first};
static const struct routing_policy b = {.name = OTHER, .summary = "the first", .params = PARAMS, .choose = first};
TANDEM_PLUGIN(.routing = {&a, &b});
C
others() { make_plugin "$1" "-DNAME=\"$2\"" "-DOTHER=\"$3\"" "-DPARAMS=${4:-none}" others.c; }
others two.so first_one another_one
"$tandem" run default $small $two --no-db --plugin two.so --set cluster.routing=another_one | grep -q another_one
others built_in.so first_one random
plugin 'plug-in ./built_in.so: .routing: "random" is the name of a policy that is built in' built_in.so
others twice.so first_one first_one
plugin 'plug-in ./twice.so: .routing: brings two policies called "first_one"' twice.so
others path.so first_one ./x.so
plugin "plug-in ./path.so: .routing: a policy's name has up to 63 letters" path.so
others lacks.so first_one another_one NULL
plugin 'plug-in ./lacks.so: .routing: "another_one" lacks params' lacks.so
others third.so third_one another_one
fails_with 2 'plug-in ./third.so: .routing: "another_one" is already the name of a policy of ./two.so' \
    "$tandem" list policies --plugin two.so --plugin third.so
cp two.so copy.so
for again in two.so ./two.so copy.so; do
    fails_with 2 "is loaded already, as ./two.so" "$tandem" list policies --plugin two.so --plugin $again
done
echo '#include "policies/plugin.h"
TANDEM_PLUGIN(.order = {NULL});' | make_plugin none.so -x c -
plugin 'plug-in ./none.so: brings no policy' none.so

# Names are of an axis: an order may be called as a routing policy is.
cat >same_name.c <<'C'
#include "policies/plugin.h"
static const struct param_spec none[] = {{0}};
static const struct order_policy order = {.name = "round_robin", .summary = "as they came", .params = none};
TANDEM_PLUGIN(.order = {&order});
C
make_plugin same_name.so same_name.c
"$tandem" run default $small --quiet --plugin same_name.so --set policy.order=round_robin --db same.db
"$tandem" run default $small --quiet --db plain.db
rows same.db >same.txt && rows plain.db >plain.txt && cmp same.txt plain.txt

# A policy with a state of its own, which calls what it may: error_set, the view, array_grow. Its own error is the run's.
cat >calls.c <<'C'
#include <stdlib.h>
#include "policies/plugin.h"
static const struct param_spec params[] = {{"fails", PARAM_BOOL, "", 0, 0, 1, "whether it fails at once", NULL, NULL}, {0}};
struct seen { uint64_t *ids; size_t count, capacity; };
static int create(void **state, const struct param_set *set, struct error *err)
{
    if (param_number(set, "fails") > 0)
        return error_set(err, ERROR_INPUT, "it fails, as it was %s", "told");
    *state = calloc(1, sizeof(struct seen));
    return *state ? 0 : error_no_memory(err);
}
static void destroy(void *state)
{
    free(((struct seen *)state)->ids);
    free(state);
}
static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct seen *s = state;
    struct request *r = view->waiting->head;
    if (r && view->running->count < 32 && view_reserve(view, r, r->prompt_tokens + r->max_output_tokens)) {
        uint64_t *grown = array_grow(s->ids, &s->capacity, s->count + 1, sizeof *grown);
        s->ids = grown;
        grown[s->count++] = r->id;
        view_admit(view, r);
        view_schedule(view, out, r, request_uncomputed(r));
    }
    view_decode_all(view, out);
    view_hold(view, out, false);
}
static const struct batching_policy calls = {.name = "calls", .summary = "calls", .params = params,
    .admission = ADMIT_RESERVE_MAX, .create = create, .form_batch = form_batch, .destroy = destroy};
TANDEM_PLUGIN(.batching = {&calls});
C
make_plugin calls.so calls.c
"$tandem" run default $small --no-db --plugin calls.so --set policy.batching=calls | grep -q '300 arrived = 300 finished'
fails_with 2 'it fails, as it was told' "$tandem" run default $small --no-db --plugin calls.so --set policy.batching='{"name": "calls", "fails": true}'

# A routing policy that chooses a station that there is not ends the run with a sentence.
make_plugin astray.so -x c - <<'END'
#include "policies/plugin.h"
static size_t beyond(uint64_t *cursor, size_t count, const struct request *r, const struct routing_view *view)
{
    (void)cursor, (void)r, (void)view;
    return count;
}
static const struct param_spec none[] = {{0}};
static const struct routing_policy astray = {.name = "astray", .summary = "beyond", .params = none, .choose = beyond};
TANDEM_PLUGIN(.routing = {&astray});
END
fails_with 1 'routing policy astray: chose a station that there is not' \
    "$tandem" run default $small --no-db --quiet --plugin astray.so --set cluster.routing=astray --set cluster.replicas=3
