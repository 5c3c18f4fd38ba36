#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tandem explore in a real browser, and asked by hand; what is looked at is in tests/browser/explore.mjs.
set -euo pipefail
. "$(dirname "$0")/functions.sh"
tandem=$(realpath "$1")
scripts=$(realpath "$(dirname "$0")")/browser
trace=$(realpath "$(dirname "$0")")/../docs/examples/azure_code_1000.csv
modules=$(dirname "$tandem")/testers/node_modules
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
"$tandem" explore --db kept.db >said &
server=$!
for _ in $(seq 200); do [ -s said ] && break || sleep 0.05; done
address=$(sed -n 's/^open \(http[^ ]*\) in a browser.*/\1/p' said)

# Hostile or wrong requests have a sentence, and touch nothing.
python3 - "$address" <<'P'
import http.client, json, sys, urllib.parse
at = urllib.parse.urlparse(sys.argv[1])
token = urllib.parse.parse_qs(at.query)["token"][0]
assert at.hostname == "127.0.0.1" and len(token) == 32, sys.argv[1]

def ask(method, path, body=None, headers=None):
    c = http.client.HTTPConnection("127.0.0.1", at.port, timeout=30)
    c.request(method, path, body, {"Authorization": "Bearer " + token} if headers is None else headers)
    answer = c.getresponse()
    return answer.status, answer.read().decode()

def curve(**body):
    status, text = ask("POST", "/curve", json.dumps({"rate_per_s": 5, "points": 1, "requests": 100, **body}))
    return status, [json.loads(l) for l in text.splitlines()][0]

assert ask("GET", "/start", headers={})[0] == 401
assert ask("GET", "/start?token=" + "0" * 32, headers={})[0] == 401
assert ask("GET", "/start", headers={"Authorization": "Bearer " + token, "Host": "evil.example"})[0] == 403
assert ask("GET", "/../etc/passwd")[0] == 404
status, found = curve()
assert status == 200 and found["requests"] == 100 and found["met"] is True, found
one = curve(settings={"cluster.replicas": 2})[1]
assert one["gpus"] == 2, one
for settings in ({"model": "/etc/passwd"}, {"model": "a.json"}, {"policy.batching": "./x.so"}, {"workload.trace": "/etc/passwd"},
                 {"output.requests": True}, {"model": ["a"]}, {"slo.ttft_s": {"p99": "x"}}):
    assert "settings: " in curve(settings=settings)[1]["error"], settings
assert "rate_per_s" in curve(rate_per_s=-1)[1]["error"]
assert "replicas" in curve(settings={"cluster.replicas": -1})[1]["error"]
assert "did you mean" in curve(settings={"model": "llama-3.1-8c"})[1]["error"], curve(settings={"model": "llama-3.1-8c"})
assert "no trace" in curve(trace=True)[1]["error"]
assert ask("POST", "/curve", "[" * 100000)[0] == 400
assert ask("POST", "/trace", b"\x1f\x8b" + bytes(100))[0] == 400
assert ask("GET", "/runs") == (200, "[]")
P
if command -v node >/dev/null && [ -d "$modules/playwright-core" ] && browser=$(command -v chromium || command -v chromium-browser); then
    mkdir modules
    cp "$scripts/explore.mjs" modules/
    ln -s "$modules" modules/node_modules
    timeout 200 node modules/explore.mjs "$browser" "$address" "$trace" ${PICTURES:-} | tee printed
    # The command that the page copies runs, and keeps the SLO's word.
    command=$(sed -n 's/^command tandem //p' printed)
    eval "\"$tandem\" $command --no-db" >summary
    grep -q 'SLO NOT MET' summary
    [ "$(query kept.db "SELECT count(*) FROM run")" = 1 ]
else
    echo "skipped a part: chromium or playwright-core is not installed"
fi
kill -INT "$server"
wait "$server"
server=
fails_with 2 'found 2 arguments, expected: tandem explore [SCENARIO]' "$tandem" explore a b
