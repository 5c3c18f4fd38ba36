#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rows of some seventy scenarios, over every policy axis and arrangement, are what they were.
exec tests/golden/check "$1"
