#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every published system runs, and docs/papers.md is what comes out.
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 0; }
exec tests/papers "$1"
