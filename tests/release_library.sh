#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# libtandem as it is installed: it shows its own names and no others, its header is C99 and C++, and the example, linked to
# the shared and to the static library, finds what the program finds.
# usage: release_library.sh TANDEM
set -euo pipefail
tandem=$(realpath "$1")
cd "$(dirname "$0")/.."
source=$PWD
build=$(realpath --relative-to=. "$(dirname "$tandem")") # as make is usually told: objects remember by what name they were made
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# With the flags of `make check`, so that nothing is compiled again there; not with those of the build that runs the tests.
env -u MAKEFLAGS -u MFLAGS -u CFLAGS -u SANITIZE -u RELEASE make -s --no-print-directory WERROR=-Werror BUILD="$build" install-lib DESTDIR="$folder" PREFIX=/usr \
    >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
export PKG_CONFIG_PATH=$folder/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$folder LD_LIBRARY_PATH=$folder/usr/lib

others=$(nm -D --defined-only "$folder/usr/lib/libtandem.so" | awk '$3 !~ /^tandem_/ {print $3}')
[ -z "$others" ] || { echo "libtandem.so shows $others"; exit 1; }
others=$(nm --defined-only --extern-only "$folder/usr/lib/libtandem.a" 2>/dev/null | awk 'NF == 3 && $3 !~ /^tandem_/ {print $3}')
[ -z "$others" ] || { echo "libtandem.a shows $others"; exit 1; }

# In a folder of its own, where only the installed header can be found.
cp docs/examples/library.c "$folder/"
cd "$folder"
echo '#include <tandem/tandem.h>' >header.c
gcc -std=c99 -pedantic -Wall -Wextra -Werror $(pkg-config --cflags tandem) -c header.c -o header.o
g++ -std=c++11 -pedantic -Wall -Wextra -Werror $(pkg-config --cflags tandem) -x c++ -c header.c -o header.o
gcc -std=c99 -Wall -Wextra -Werror library.c $(pkg-config --cflags --libs tandem) -o shared
static="usr/lib/libtandem.a $(env -u PKG_CONFIG_SYSROOT_DIR pkg-config --static --libs gsl sqlite3 libcjson zlib openblas | sed 's/-lgslcblas//') -lm -pthread"
gcc -std=c99 -Wall -Wextra -Werror library.c $(pkg-config --cflags tandem) $static -o static
./shared >shared.txt
./static >static.txt
cmp shared.txt static.txt
ldd shared >needs.txt
grep -q 'libtandem.so.1' needs.txt || { echo "the example is not linked to libtandem.so.1"; exit 1; }

# The last line of the example, found by the program.
replicas=$(tail -1 shared.txt | cut -d' ' -f1)
grep -q 'SLO met' shared.txt
"$tandem" run default --quiet --db run.db --set workload.rate_scale=4 --set "cluster.replicas=$replicas"
python3 - shared.txt <<'PYTHON'
import sqlite3, sys
found = sqlite3.connect("run.db").execute("SELECT value FROM metric WHERE name = 'ttft_s' AND scope = 'run' AND statistic = 'p99'").fetchone()[0]
last = open(sys.argv[1]).read().splitlines()[-1]
assert f"p99 TTFT {found:.3f} s" in last, (found, last)
PYTHON

# A plug-in finds in the library, of either kind, what it calls; nothing else loads one.
cc -shared -fPIC -I"$source" "$source/docs/examples/prompts_alone.c" -o alone.so
cat >plugins.c <<'C'
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <tandem/tandem.h>

int main(void)
{
    tandem_error err;
    tandem_run *run = tandem_open("default", &err);
    assert(run && tandem_set(run, "workload.requests", "200", &err) == 0);
    assert(tandem_set(run, "policy.batching", "./alone.so", &err) == 0 && tandem_simulate(run, &err) == -1);
    assert(err.code == TANDEM_BAD_INPUT && strstr(err.text, "expected the name of a batching policy"));
    assert(tandem_set(run, "policy.batching", "prompts_alone", &err) == 0 && tandem_simulate(run, &err) == -1);
    assert(tandem_plugin_load("nonesuch.so", &err) == -1 && err.code == TANDEM_BAD_INPUT && strstr(err.text, "nonesuch.so"));
    assert(tandem_plugin_load("alone.so", &err) == 0 && err.code == TANDEM_OK);
    assert(tandem_plugin_load("alone.so", NULL) == -1);
    assert(tandem_simulate(run, &err) == 0 && tandem_value(run, "finished") == 200);
    printf("%.9g\n", tandem_metric(run, "ttft_s", "p99"));
    tandem_close(run);
    return 0;
}
C
for kind in shared static; do
    if [ $kind = shared ]; then libraries=$(pkg-config --libs tandem); else libraries=$static; fi
    gcc -std=c99 -Wall -Wextra -Werror plugins.c $(pkg-config --cflags tandem) $libraries -o plugins
    ./plugins >$kind.txt
done
"$tandem" run default --quiet --db plugin.db --plugin alone.so --set policy.batching=prompts_alone --set workload.requests=200
python3 -c 'import sqlite3; print("%.9g" % sqlite3.connect("plugin.db").execute("SELECT value FROM metric WHERE name = \"ttft_s\" AND scope = \"run\" AND statistic = \"p99\"").fetchone()[0])' >program.txt
cmp shared.txt static.txt && cmp shared.txt program.txt

# Errors are sentences; a run can be kept, and simulated again.
cat >errors.c <<'C'
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tandem/tandem.h>

static int finished;

static void count(void *state, const tandem_request *r)
{
    assert(*(int *)state == 7 && r->last_token_s >= r->first_token_s && r->first_token_s > r->arrival_s);
    finished++;
}

int main(void)
{
    tandem_error err;
    int seven = 7;
    assert(tandem_api_major() == TANDEM_API_MAJOR && strlen(tandem_version()) >= 5);
    assert(!tandem_open("nonesuch", &err) && err.code == TANDEM_BAD_INPUT && strstr(err.text, "nonesuch"));
    assert(!tandem_open_text("{", NULL));
    tandem_run *run = tandem_open("default", &err);
    assert(run && isnan(tandem_metric(run, "ttft_s", "p99")) && tandem_slo_met(run) == -1);
    assert(tandem_keep(run, &err) == -1 && strstr(err.text, "has named no database"));
    assert(tandem_set(run, "workload.requests", "200", &err) == 0 && tandem_set(run, "output.requests", "true", &err) == 0);
    assert(tandem_set(run, "cluster.replicas", "many", &err) == 0);
    assert(tandem_simulate(run, &err) == -1 && strstr(err.text, "cluster.replicas: expected"));
    assert(tandem_set(run, "cluster.replicas", "2", &err) == 0 && tandem_keep_in(run, "kept.db", &err) == 0);
    assert(tandem_on_finished(run, count, &seven, sizeof(tandem_request) + 8, &err) == -1 && strstr(err.text, "older"));
    assert(tandem_on_finished(run, count, &seven, sizeof(tandem_request) - 8, &err) == 0);
    for (int i = 0; i < 2; i++) /* the first one's rows are dropped */
        assert(tandem_simulate(run, &err) == 0 && err.code == TANDEM_OK);
    assert(finished == 400 && tandem_value(run, "finished") == 200 && tandem_value(run, "busy") > 0);
    assert(isnan(tandem_value(run, "nonesuch")) && isnan(tandem_metric(run, "ttft_s", "p12")));
    assert(tandem_keep(run, &err) == 1);
    assert(tandem_simulate(run, &err) == 0 && tandem_set(run, "output.requests", "false", &err) == 0);
    assert(tandem_simulate(run, &err) == 0 && tandem_keep(run, &err) == 2); /* which asks for no rows, and has none */
    tandem_stop(run);
    tandem_set(run, "workload.requests", "100000", &err);
    assert(tandem_simulate(run, &err) == 0 && tandem_value(run, "finished") < 100000);
    tandem_close(run);
    tandem_close(NULL);
    return 0;
}
C
gcc -std=c99 -Wall -Wextra -Werror errors.c $(pkg-config --cflags --libs tandem) -lm -o errors
./errors
[ "$(python3 -c 'import sqlite3; print(sqlite3.connect("kept.db").execute("SELECT count(*) FROM request").fetchone()[0])')" = 200 ]
[ "$(python3 -c 'import sqlite3; print(sqlite3.connect("kept.db").execute("SELECT count(*) FROM request WHERE run_id = 2").fetchone()[0])')" = 0 ]
