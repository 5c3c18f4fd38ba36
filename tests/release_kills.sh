#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A few of the kills of tests/kills/run: a command that is killed leaves no half run, and goes on to the same rows.
# usage: release_kills.sh TANDEM
set -eu
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 0; }
"$(dirname "$0")/kills/run" "$1" --count 12
