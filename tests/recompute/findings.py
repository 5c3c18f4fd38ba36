# SPDX-License-Identifier: MIT
"""Collects the differences that checks find. A difference has a kind (what is wrong, without numbers) and a sentence."""

import math

from names import DOUBLE, OPEN


class Findings:
    def __init__(self):
        self.found = []   # (kind, sentence)
        self.checked = 0  # comparisons made

    def say(self, kind, sentence):
        self.found.append((kind, sentence))

    def true(self, kind, holds, sentence):
        self.checked += 1
        if not holds:
            self.say(kind, sentence)
        return holds

    def equal(self, kind, what, found, right):
        """Whole numbers, words and absent values."""
        return self.true(kind, found == right, f"{what}: found {found!r}, recomputed {right!r}")

    def near(self, kind, what, found, right, relative=DOUBLE, absolute=0.0):
        """Numbers; an absent value (None) or one that is not finite equals only its like."""
        return self.true(kind, is_near(found, right, relative, absolute),
                         f"{what}: found {found!r}, recomputed {right!r}")

    def between(self, kind, what, found, low, high):
        return self.true(kind, found is not None and low <= found <= high,
                         f"{what}: found {found!r}, expected from {low!r} to {high!r}")


def is_near(found, right, relative, absolute=0.0):
    if found is None or right is None:
        return found is right
    if math.isinf(found) or math.isinf(right):
        return found == right
    return abs(found - right) <= max(relative * abs(right), absolute)


def standing(kind):
    """What is to be thought of a kind of difference: "open" or "new"."""
    return "open" if kind.startswith(tuple(OPEN)) else "new"


def ratio(a, b):
    return a / b if b else None
