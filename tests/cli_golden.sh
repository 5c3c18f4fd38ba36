#!/usr/bin/env bash
# Rows of some seventy scenarios, over every policy axis and arrangement, are what they were.
exec tests/golden/check "$1"
