#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sweeps on three ranks of an MPI job: the same table as on threads, and nothing lost when a rank dies.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
source=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# MPI waits for all processes as it starts and as it ends. Where one is dead it is ended after a time, which is over at
# once here: this MPI sends the signal of that itself.
mkdir alone && cp "$tandem" alone/tandem
late() { # SENTENCE 1: in leave; 0: in open
    printf '%s\n' '#include <signal.h>' '#include "planner/transport.h"' \
        'static int receive(struct transport *t, int *f, void **b, size_t *s, double w) { (void)t, (void)f, (void)b, (void)s, (void)w; return 0; }' \
        'static void leave(struct transport *t, bool all) { (void)t, (void)all; if (IN_LEAVE) raise(SIGALRM); }' \
        'int tandem_mpi_open(struct transport *t) { *t = (struct transport){.size = 1, .receive = receive, .leave = leave}; if (!IN_LEAVE) raise(SIGALRM); return 0; }' \
        >late.c
    cc -shared -fPIC -D_POSIX_C_SOURCE=200809L -I"$source" -DIN_LEAVE="$2" late.c -o alone/tandem-mpi.so
    local got=0
    PMI_SIZE=1 alone/tandem sweep default --set workload.requests=50 --vary seed=1..2 --db late.db --quiet >out.txt 2>err.txt || got=$?
    [ "$got" = 1 ] && [ "$(cat err.txt)" = "tandem sweep: MPI: $1" ] || { cat err.txt; exit 1; }
}
late "the job's other processes do not start" 0
[ ! -e late.db ]
late 'another process of the job died or stands still while all leave; what was finished is kept' 1
[ "$(query late.db "SELECT count(*) FROM sweep_point WHERE status = 'done'")" = 2 ]

if ! [ -e "$(dirname "$tandem")/tandem-mpi.so" ]; then
    echo "skipped: there is no tandem-mpi.so, mpicc was not found" && exit
elif ! mpirun --version 2>/dev/null | grep -q 'Open MPI'; then
    echo "skipped: mpirun is not Open MPI's" && exit
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

points="--vary workload.arrivals.rate_per_s=2..8:3 --vary policy.batching=chunked_prefill,prefill_first"
"$tandem" sweep default --set workload.requests=500 $points --csv threads.csv --no-db --quiet >out.txt
mpirun --oversubscribe -n 3 "$tandem" sweep default --set workload.requests=500 $points --csv ranks.csv --no-db --quiet >out.txt
cmp threads.csv ranks.csv

# A sweep whose rank 2 is killed as soon as so many points are in the database: dies POINTS FILE ARGUMENT… Rank 0 sleeps
# meanwhile, so that what rank 2 said last is on its way, and never arrives, when rank 0 wakes.
dies() {
    local enough=$1 db=$2 job
    shift 2
    timeout 100 mpirun --oversubscribe --enable-recovery -n 3 bash -c 'echo $$ >rank.$OMPI_COMM_WORLD_RANK; exec "$@"' rank \
        "$tandem" sweep default "$@" --db "$db" --quiet >out.txt 2>err.txt & job=$!
    python3 - "$enough" "$db" <<'END'
import os, signal, sqlite3, sys, time
for _ in range(3000):
    time.sleep(0.01)
    try:
        if sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True).execute("SELECT count(*) FROM sweep_point").fetchone()[0] >= int(sys.argv[1]):
            break
    except sqlite3.Error:
        pass # not there yet, or being written
asker, killed = (int(open(f"rank.{rank}").read()) for rank in (0, 2))
os.kill(asker, signal.SIGSTOP)
time.sleep(1)
os.kill(killed, signal.SIGKILL)
os.kill(asker, signal.SIGCONT)
END
    wait $job || true
    [ "$(query "$db" "SELECT count(*) FROM sweep WHERE status = 'done'")" = 1 ] || { cat err.txt; exit 1; }
}
dies 5 m.db --vary workload.arrivals.rate_per_s=2..8:100 --set workload.requests=20000
[ "$(query m.db 'SELECT count(*) FROM sweep_point')" = 100 ] && [ "$(query m.db 'SELECT count(DISTINCT run_id) FROM sweep_point')" = 100 ]
dies 2 last.db --vary workload.requests=1000,2000,4000000 # it has answered all that it was asked, and rank 1 is at the last
[ "$(query last.db 'SELECT count(*) FROM sweep_point')" = 3 ]

# Every rank loads the plug-in that the command line names, and has the same one. Rank 2 finds another one in its folder,
# or none: rank 0 says so, once.
object() { cc -shared -fPIC -I"$source" "$source/docs/examples/by_prompt.c" -o "$@"; }
object by_prompt.so
plugged="default --set workload.requests=500 --vary workload.arrivals.rate_per_s=2..8:3 --plugin by_prompt.so --set policy.order=shortest_prompt"
"$tandem" sweep $plugged --csv threads.csv --no-db --quiet >out.txt
mpirun --oversubscribe -n 3 "$tandem" sweep $plugged --csv ranks.csv --no-db --quiet >out.txt
cmp threads.csv ranks.csv
mkdir other none
object other/by_prompt.so -g
elsewhere() { # FOLDER TEXT
    local got=0
    timeout 300 mpirun --oversubscribe -n 3 bash -c 'folder=$1; shift; [ "$OMPI_COMM_WORLD_RANK" != 2 ] || cd "$folder"; exec "$@"' rank "$1" \
        "$tandem" sweep $plugged --set workload.requests=20000 --vary seed=1..100 --no-db --quiet >out.txt 2>err.txt || got=$?
    [ "$got" != 0 ] && [ "$(grep -c '^tandem' err.txt)" = 1 ] && grep -qF "$2" err.txt || { cat err.txt; exit 1; }
}
elsewhere other "tandem sweep: rank 2 has other plug-ins than rank 0: found by_prompt.so (SHA-256 $(sha256sum other/by_prompt.so | cut -d' ' -f1))"
elsewhere none 'tandem sweep: rank 2: plug-in ./by_prompt.so: cannot be read'
got=0; mpirun --oversubscribe -n 3 "$tandem" sweep ${plugged/by_prompt.so/nonesuch.so} --quiet --no-db >out.txt 2>err.txt || got=$?
[ "$got" != 0 ] && [ "$(grep -c 'plug-in ./nonesuch.so' err.txt)" = 1 ]

# What is wrong is said once, and everybody goes home.
got=0; mpirun --oversubscribe -n 3 "$tandem" plan nonesuch --quiet >out.txt 2>err.txt || got=$?
[ "$got" != 0 ] && [ "$(grep -c 'nonesuch' err.txt)" = 1 ]
