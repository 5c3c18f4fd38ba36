#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Errors over a frozen sample of measured operating points: none may worsen by more than a tenth. The points are not in
# this repository; without them there is nothing to run.
set -euo pipefail
tandem=$(realpath "$1")
source=$(realpath "$(dirname "$0")/..")
data=$source/../shared/data/ground_truth
if [ ! -e "$data/silicon_samples_dev.csv" ]; then
    echo "skipped: there is no $data/silicon_samples_dev.csv"
    exit 0
fi
"$source/validation/accuracy" "$tandem" "$data"

# A slice that was better is named, and so is one that is gone.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/validation" "$copy/tests/data" "$copy/profiles"
cp "$source/validation/accuracy" "$copy/validation"
cp -r "$source/profiles/models" "$copy/profiles"
sed '2s/[0-9.]*,[0-9.]*$/0.01,99999/; $s/^h/x/' "$source/tests/data/accuracy.csv" >"$copy/tests/data/accuracy.csv"
if "$copy/validation/accuracy" "$tandem" "$data" >"$copy/out.txt"; then
    echo "a worse slice passes"
    exit 1
fi
grep -qE '^accuracy: .*: median TPOT error [0-9.]+ %, was 0.01$' "$copy/out.txt"
grep -qE '^accuracy: x.*: no points any more' "$copy/out.txt"
grep -qE '^accuracy: [0-9]+ slices, 2 worse, 1 better than frozen$' "$copy/out.txt"
