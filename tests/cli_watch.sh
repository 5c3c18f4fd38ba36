#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A run that is watched: lines where there is no terminal; on one a view that goes over itself and stands in the end.
set -euo pipefail
tandem=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$tandem" run default --set workload.requests=300 --no-db --watch >out.txt 2>err.txt
grep -q '300 arrived = 300 finished' out.txt
[ "$(grep -c '^0.00 of 0.00 million requests finished, simulated [0-9]* s, .* requests/s, waiting 0$' err.txt)" = 1 ]
[ "$(wc -l <err.txt)" = 1 ]
"$tandem" run default --set workload.requests=300 --no-db 2>err.txt >out.txt
[ ! -s err.txt ]

# The view on a terminal: 8 lines, and one more of an SLO; each next one begins by going up as many.
command -v python3 >/dev/null || { echo "skipped a part: python3 is not installed"; exit 0; }
python3 -c 'import os; os.openpty()' 2>/dev/null || { echo "skipped a part: there are no pseudo-terminals"; exit 0; }
python3 - "$tandem" <<'P'
import os, pty, re, sys

def watch(*words):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], [sys.argv[1], "run", "default", "--no-db", *words])
    text = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError: # the other end is closed
            break
        if not piece:
            break
        text += piece
    assert os.waitpid(pid, 0)[1] == 0, text
    return text.decode()

name = "chat on one H100\x1b[K"
text = watch("--watch", "--set", "workload.requests=800000", "--set", "slo={}")
views = text.split(name)[1:]
assert len(views) >= 2, text
for view in views:
    assert re.search(r"of 0\.80 million requests finished, simulated \d+ s", view), view
    assert re.search(r"in simulated time: [\d.]+ requests/s, \d+ output tokens/s", view), view
    assert re.search(r"running \d+, waiting \d+  [▁▂▃▄▅▆▇█]+ at most \d+", view), view
    for metric in "TTFT", "TPOT", "E2E":
        assert re.search(metric + r" +[\d.]+ (ms|s) ", view), view
    assert "within every limit" not in view
assert text.count("\x1b[8A") == len(views) - 1, text
view = watch("--watch", "--set", "workload.requests=2000").split(name)[-1]
assert re.search(r"\d+\.\d\d % of requests within every limit", view), view

# Not watched it is one line, which is gone in the end.
text = watch("--set", "workload.requests=800000")
assert "\r0." in text and "million requests finished" in text and "\r\x1b[K" in text, text
P
