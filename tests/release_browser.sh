#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A report in a real browser, where Chromium is installed: no errors, charts drawn in light and dark, the button works, and
# nothing is wider than a narrow screen but what scrolls by itself.
set -euo pipefail
tandem=$(realpath "$1")
browser=$(command -v chromium || command -v chromium-browser || true)
[ -n "$browser" ] || { echo "skipped: chromium is not installed" && exit; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$tandem" run default --quiet --set workload.requests=3000 --set output='{"requests":true,"timeseries_s":5}'
"$tandem" report --out page.html >/dev/null

# The page with a script of ours at its end, whose findings the browser prints as part of the document.
python3 - <<'P'
page = open("page.html", encoding="utf-8").read()
probe = """<script>
const before = getComputedStyle(document.body).backgroundColor;
document.getElementById('theme').click();
const after = getComputedStyle(document.body).backgroundColor;
const lines = [...document.querySelectorAll('svg polyline')].filter(l => l.getBBox().width > 50 && l.getBBox().height > 20).length;
document.documentElement.innerHTML = '<pre id=found>' + JSON.stringify({before, after, lines,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  verdict: document.querySelector('.verdict .big').textContent, bars: document.querySelectorAll('.bar i').length}) + '</pre>';
</script></body>"""
open("probe.html", "w", encoding="utf-8").write(page.replace("</body>", probe))
P
look() { # WIDTH PAGE OPTIONS...
    local width=$1 page=$2
    shift 2
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --enable-logging=stderr --v=0 --window-size="$width",2000 "$@" \
        "file://$folder/$page" 2>log.txt
}
for width in 1280 500; do # a window is at least so wide
    look $width probe.html --dump-dom >dom.txt
    if grep -i 'console.*error\|uncaught' log.txt; then exit 1; fi
    python3 - <<'P'
import json, re
found = json.loads(re.search(r'<pre id="found">(.*)</pre>', open("dom.txt", encoding="utf-8").read())[1])
assert found["verdict"] == "SLO met" and found["lines"] >= 8 and found["bars"] > 20 and found["wide"] <= 0, found
assert found["before"] != found["after"], found
P
done
look 1280 page.html --screenshot="$folder/page.png" >/dev/null
python3 - <<'P'
import struct, zlib
data = open("page.png", "rb").read()
at, pixels = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
    if kind == b"IDAT":
        pixels += data[at + 8:at + 8 + size]
    at += size + 12
step = width * {2: 3, 6: 4}[colour] + 1
rows = zlib.decompress(pixels)
drawn = sum(any(rows[y * step + 1:(y + 1) * step]) for y in range(height)) # a filtered row of one colour is all 0
assert (width, height, depth) == (1280, 2000, 8) and drawn > 800, (width, height, drawn)
P
