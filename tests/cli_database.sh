#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Databases of other programs, that cannot be written, of earlier schemas, and opened by several at once; names in text.
set -euo pipefail
tandem=$(realpath "$1")
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
small="--set workload.requests=60 --set output.requests=true --set output.iterations=true --set output.timeseries_s=1 --quiet"

fails() { # STATUS WORDS COMMAND...
    local wanted=$1 words=$2 status=0
    shift 2
    "$@" >out.txt 2>&1 || status=$?
    [ "$status" = "$wanted" ] && grep -qF -- "$words" out.txt || { echo "status $status of: $*"; cat out.txt; exit 1; }
}

# A file of another program is refused, and stays as it is.
python3 - <<'P'
import sqlite3
def make(file, *statements):
    db = sqlite3.connect(file)
    for s in statements:
        db.execute(s)
    db.commit()
make("other.db", "CREATE TABLE places (url TEXT)")
make("runs.db", "CREATE TABLE run (id)", "CREATE TABLE metric (id)") # ours by name alone
make("id.db", "PRAGMA application_id = 77", "CREATE TABLE run (id)")
make("newer.db", "PRAGMA application_id = 0x546e646d", "PRAGMA user_version = 99", "CREATE TABLE run (id)", "CREATE TABLE metric (id)")
open("text.db", "w").write("notes that are longer than the header of a database\n" * 20)
P
for file in other runs id newer text; do
    cp $file.db before
    words="a database of another program"
    [ $file = text ] && words="is not an SQLite database"
    [ $file = newer ] && words="has schema version 99, this program knows up to"
    for command in "run default $small" report "compare 1 2" "sweep default --vary seed=1,2 --quiet"; do
        fails 2 "$words" "$tandem" $command --db $file.db
    done
    cmp -s before $file.db && [ ! -e $file.db-wal ]
done

# A run's file has our application ID. An empty file is a new database.
: >empty.db
"$tandem" run default $small --db empty.db
"$tandem" run default $small
"$tandem" run default $small --set policy.batching=prefill_first
python3 - <<'P'
import sqlite3
for file in "tandem.db", "empty.db":
    assert sqlite3.connect(file).execute("PRAGMA application_id").fetchone() == (0x546e646d,)
P

# A file, and a folder, that cannot be written: reported on and compared; a rate to keep is not looked for.
mkdir closed out
cp tandem.db closed/kept.db
chmod 444 closed/kept.db
chmod 555 closed
chmod 777 out
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
fi
if as "$tandem" --version >/dev/null 2>&1 && ! as touch closed/x 2>/dev/null; then
    as "$tandem" report --db closed/kept.db --format csv >out.txt
    as "$tandem" report 1 --db closed/kept.db --out out/page.html >/dev/null
    as "$tandem" compare 1 2 --db closed/kept.db >out.txt && grep -q 'TTFT mean' out.txt
    fails 2 "is in a database that cannot be written" as "$tandem" report 1 --headroom --db closed/kept.db --out out/page.html
    chmod 755 closed
    cp tandem.db closed/secret.db
    chmod 000 closed/secret.db
    mkdir logged
    cp tandem.db logged/kept.db
    : >logged/kept.db-wal
    chmod 444 logged/*
    chmod 555 closed logged
    fails 2 "cannot be read: Permission denied" as "$tandem" report --db closed/secret.db
    fails 2 "has a log next to it" as "$tandem" report --format csv --db logged/kept.db
    fails 1 "readonly" as "$tandem" run default $small --db closed/kept.db
else
    echo "skipped a part: nobody here whom a file can be closed to"
fi

# Files of every earlier schema are brought up to date, and reported on. Each is made of a new one, whose later columns
# and tables are taken away.
python3 - <<'P'
import shutil, sqlite3
VIEW = "CREATE VIEW v_run_summary AS SELECT r.id, r.name, r.slo_met FROM run r"
PARTS = ("queue prefill_own prefill_stall decode_own decode_interference decode_stall preempted transfer route delay after "
         "kv_load").split()
BACK = {6: ["CREATE TABLE parts (run_id INTEGER, request_id INTEGER, part TEXT, ns INTEGER, PRIMARY KEY (run_id, request_id, "
            "part)) WITHOUT ROWID", "INSERT INTO parts SELECT * FROM time_parts", "DROP VIEW time_parts",
            "ALTER TABLE parts RENAME TO time_parts"] + ["ALTER TABLE request DROP COLUMN part_%s_ns" % p for p in PARTS],
        5: ["DROP TABLE run_plugin"],
        4: ["DROP VIEW v_run_summary", VIEW, "ALTER TABLE run DROP COLUMN lost", "ALTER TABLE run DROP COLUMN unserved_reason",
            "DROP TABLE slo_target", "ALTER TABLE station DROP COLUMN busy", "DELETE FROM metric WHERE scope = 'all'",
            "UPDATE run SET slo_met = 0 WHERE slo_met IS NULL"],
        3: ["ALTER TABLE run DROP COLUMN slo_binding", "DROP TABLE iteration", "DROP TABLE batch_cell", "DROP TABLE headroom"],
        2: ["ALTER TABLE %s DROP COLUMN %s" % c for c in (("plan", "name"), ("plan", "started_at"), ("plan_point", "result"),
            ("sweep", "name"), ("sweep", "started_at"), ("sweep_point", "result"))],
        1: ["ALTER TABLE request DROP COLUMN cached_tokens", "DROP TABLE validation"]}
for version in range(6, 0, -1):
    shutil.copy("tandem.db" if version == 6 else "schema%d.db" % (version + 1), "schema%d.db" % version)
    db = sqlite3.connect("schema%d.db" % version)
    for statement in BACK.get(version, []):
        db.execute(statement)
    db.execute("PRAGMA user_version = %d" % version)
    db.execute("PRAGMA application_id = 0")
    db.commit()
    db.close() # the next copy is of the file without its log
P
for version in 1 2 3 4 5 6; do
    cp schema$version.db closed-$version.db
    "$tandem" compare 1 2 --db schema$version.db >out.txt
    grep -q 'TTFT mean' out.txt
    "$tandem" report 1 --no-headroom --quiet --db schema$version.db --out page.html
    for format in text csv json markdown prometheus vllm perfetto; do
        "$tandem" report 1 --format $format --db schema$version.db >out.txt && [ -s out.txt ]
    done
    "$tandem" run default $small --db schema$version.db
done
if as "$tandem" --version >/dev/null 2>&1 && ! as touch closed/x 2>/dev/null; then
    chmod 444 closed-3.db
    fails 2 "has schema version 3, older than 7, and cannot be written" as "$tandem" report 1 --db closed-3.db
fi
python3 - <<'P'
import sqlite3
def tables(file):
    db = sqlite3.connect(file)
    names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    return {n: [c[1:3] for c in db.execute("PRAGMA table_info(%s)" % n)] for n in names}
for version in range(1, 7):
    file = "schema%d.db" % version
    assert tables(file) == tables("tandem.db"), version
    db = sqlite3.connect(file)
    assert db.execute("PRAGMA user_version").fetchone() == (7,) and db.execute("PRAGMA application_id").fetchone() == (0x546e646d,)
    assert db.execute("SELECT count(*) FROM run").fetchone() == (3,)
    parts = "SELECT run_id, request_id, part, ns FROM time_parts WHERE run_id < 3 ORDER BY 1, 2, 3"
    kept = db.execute(parts).fetchall()
    assert kept and kept == sqlite3.connect("tandem.db").execute(parts).fetchall(), version
    assert db.execute("SELECT count(*) FROM v_run_summary WHERE verdict = 'met'").fetchone()[0] >= 1
P

# Many may make a new file at once, and the same sweep started three times is one sweep: every point has one run.
for i in 1 2 3 4 5 6 7 8; do
    "$tandem" run default $small --db together.db --set seed=$i 2>error-$i.txt &
done
wait
[ "$(cat error-*.txt)" = "" ] || { cat error-*.txt; exit 1; }
for i in 1 2 3; do
    "$tandem" sweep default --vary seed=1..6 --set workload.requests=40 --db sweeps.db --quiet -j 1 >sweep-$i.txt 2>&1 &
done
wait
python3 - <<'P'
import sqlite3
db = sqlite3.connect("together.db")
assert db.execute("SELECT count(*), count(DISTINCT seed) FROM run").fetchone() == (8, 8)
db = sqlite3.connect("sweeps.db")
sweeps = db.execute("SELECT count(*) FROM sweep WHERE status = 'done'").fetchone()[0]
points = db.execute("SELECT count(*) FROM sweep_point").fetchone()[0]
assert points == 6 * sweeps and db.execute("SELECT count(*) FROM sweep WHERE status != 'done'").fetchone() == (0,)
orphans = db.execute("SELECT count(*) FROM run WHERE id NOT IN (SELECT run_id FROM sweep_point)").fetchone()[0]
assert orphans == 0 and db.execute("SELECT count(*) FROM run").fetchone()[0] == points, orphans
P
for i in 2 3; do
    diff <(sed '/runs of/d; /goes on/d' sweep-1.txt) <(sed '/runs of/d; /goes on/d' sweep-$i.txt)
done

# A scenario's largest rate is not kept, and says so.
fails 0 "nothing is kept in rates.db" "$tandem" plan default --set workload.requests=200 --replications 4 --tolerance 0.5 --db rates.db
[ ! -e rates.db ]

# Names that are formulas, markup, or orders to a terminal.
python3 - <<'P'
import json
name = "a|b`c` <i>x</i> [l](http://e.x)\n\u001b[31mred\u202eder"
json.dump({"name": name, "model": "llama-3.1-8b", "device": "h100-sxm", "workload": {"arrivals": "poisson", "lengths": "fixed", "requests": 30}},
          open("names.json", "w"))
open("latin.json", "wb").write(b'{"name": "caf\xe9"}')
open("twice.json", "w").write('{"workload": {"requests": 1, "requests": 2}}')
open("plan.json", "w").write('{"scenario": "default", "search": {"a": [1], "a": [2]}}')
P
"$tandem" run names.json --db names.db >out.txt
"$tandem" run names.json --db names.db --set seed=2 --quiet
"$tandem" report 1 --db names.db --no-headroom --out names.html >>out.txt
"$tandem" compare 1 2 --db names.db >>out.txt
"$tandem" report 1 --db names.db --format markdown >names.md
"$tandem" report 1 --db names.db --format text >>out.txt
python3 - <<'P'
import re
for file in "out.txt", "names.md", "names.html":
    text = open(file, encoding="utf-8").read()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), file
assert r"\u{1b}[31mred\u{202e}der" in open("out.txt").read()
assert open("names.md").readline() == "## a\\|b\\`c\\` &lt;i&gt;x&lt;/i&gt; \\[l\\]\\(http&#58;//e.x\\)\\\\u\\{a\\}\\\\u\\{1b\\}\\[31mred\\\\u\\{202e\\}der\n"
assert "<i>x</i>" not in open("names.html").read()
P
python3 - <<'P'
import sqlite3
db = sqlite3.connect("names.db")
db.execute("UPDATE metric SET name = '=1+\"2\"', scope = 'a,b', unit = '@x' WHERE name = 'load'")
db.execute("INSERT INTO station SELECT run_id, 'delay:<u>|x', 1, 2, 0.5, 1, 1, 1, 1, 1, 1, 0, 0.5 FROM station WHERE station = 'system'")
db.execute("INSERT INTO theory VALUES (1, 'delay:<u>|x', 'f', -1, 1)")
db.commit()
P
"$tandem" report 1 --db names.db --format csv >names.csv
grep -q "^1,\"'=1+\"\"2\"\"\",\"a,b\",value,[0-9.]*,,,'@x$" names.csv
"$tandem" report 1 --db names.db --no-headroom --quiet --out names.html
grep -q 'delay:&lt;u&gt;|x' names.html
[ "$(grep -c '<u>' names.html)" = 0 ]
fails 2 "latin.json: byte 14 (0xe9) is not UTF-8 text" "$tandem" run latin.json --no-db
fails 2 'twice.json: workload.requests: is there twice, expected once' "$tandem" run twice.json --no-db
fails 2 'plan.json: search.a: is there twice, expected once' "$tandem" plan plan.json --no-db
fails 2 '--set: workload.a: is there twice, expected once' "$tandem" run default --no-db --set 'workload={"a":1,"a":2}'
