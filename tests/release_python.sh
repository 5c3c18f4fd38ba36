#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Python package, unpacked from its wheel as an installer does, without the source tree.
# usage: release_python.sh TANDEM
set -euo pipefail
tandem=$(realpath "$1")
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 0; }
build=$(realpath --relative-to=. "$(dirname "$tandem")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
env -u MAKEFLAGS -u MFLAGS -u CFLAGS -u SANITIZE -u RELEASE make -s --no-print-directory WERROR=-Werror BUILD="$build" wheel \
    >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
cp tests/python_package.py "$folder/"
python3 -m zipfile -e "$build"/tandem_simulator-*.whl "$folder/site"
chmod +x "$folder/site/tandem/bin/tandem" # zipfile forgets modes, installers do not
cd "$folder"
# Every file is in the record, with its digest.
python3 - <<'PYTHON'
import base64, csv, glob, hashlib, os
record = glob.glob("site/*.dist-info/RECORD")[0]
rows = {name: digest for name, digest, _ in csv.reader(open(record))}
files = [os.path.relpath(os.path.join(d, f), "site") for d, _, fs in os.walk("site") for f in fs]
assert set(rows) == set(files), set(rows) ^ set(files)
for name, digest in rows.items():
    if digest:
        found = base64.urlsafe_b64encode(hashlib.sha256(open("site/" + name, "rb").read()).digest()).rstrip(b"=").decode()
        assert digest == "sha256=" + found, name
PYTHON
PYTHONPATH=$folder/site python3 -m tandem --version | grep -q '^tandem [0-9]'
PYTHONPATH=$folder/site TANDEM_PROGRAM=$tandem python3 python_package.py 2>&1 | tee result.txt | grep -vE '^\.+$' || true
tail -1 result.txt | grep -q '^OK'
