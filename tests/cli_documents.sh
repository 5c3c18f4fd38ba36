#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What README.md and docs/ show runs as it is written.
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 0; }
exec tests/documents "$1"
