#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recomputes every printed number of a hundred random scenarios from their rows.
set -eu
exec tests/recompute/run 100 1 --tandem "$1" --exports 0.2 --quiet
