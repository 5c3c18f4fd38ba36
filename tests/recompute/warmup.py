# SPDX-License-Identifier: MIT
"""The warm-up: which requests statistics leave out. Requests are taken in the order in which they finish."""

import math

import names


def mser5(values):
    """How many of VALUES the MSER-5 rule cuts (White 1997): of the means of five neighbours, the beginning is left out
    that makes sum((x - mean)^2) / n^2 of the rest least; at most half of them, and some are left."""
    means = [sum(values[i:i + 5]) / 5 for i in range(0, len(values) - 4, 5)]
    errors = {}
    for cut in range(len(means) // 2 + 1):
        rest = means[cut:]
        if len(rest) >= names.MEANS_LEFT:
            mean = math.fsum(rest) / len(rest)
            errors[5 * cut] = math.fsum((x - mean) ** 2 for x in rest) / len(rest) ** 2
    return min(errors, key=errors.get) if errors else 0


def rule(run):
    """The rule that the scenario asks for, by name."""
    generated = not run.at("workload", "trace")
    return run.named("output", "warmup", default="mser5" if generated else "none")


def cut(run):
    """The requests that a run leaves out of everything; 0 while each latency has a cut of its own."""
    if rule(run) != "mser5" or names.WARMUP_LATENCY is None:
        return 0
    return mser5([r.latency(names.WARMUP_LATENCY) for r in run.by_end])


def is_told(run):
    """Whether rows tell the cut: which of two requests that finish at one instant comes first is not in them."""
    return rule(run) != "mser5" or len({r.end for r in run.by_end}) == len(run.by_end)


def rows(run, latency=None):
    """Requests that statistics count, in the order of finishing: of one latency (where it is defined), or of all else."""
    if latency is None:
        return run.by_end[cut(run):]
    if names.WARMUP_LATENCY is None:
        defined = [r for r in run.by_end if r.latency(latency) is not None]
        return defined[mser5([r.latency(latency) for r in defined]) if rule(run) == "mser5" else 0:]
    return [r for r in run.by_end[cut(run):] if r.latency(latency) is not None]
