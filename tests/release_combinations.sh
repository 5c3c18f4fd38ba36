#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The table of features that go together is what the program does.
# usage: release_combinations.sh TANDEM
exec "$(dirname "$0")/combinations" "$1"
