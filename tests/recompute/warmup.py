# SPDX-License-Identifier: MIT
"""The warm-up: one cut for a run. Requests that arrive before it are left out of latencies, rates and the verdict."""

import math

import names
from kept import ns


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


def is_told(run):
    """Whether the run says what it cut."""
    return rule(run) == "none" or run.later("warmup_s") is not None


def instant(run):
    """When the warm-up ends, in nanoseconds."""
    return ns(run.later("warmup_s") or 0)


def seconds(run):
    """The length of the run after its warm-up."""
    return (run.length - instant(run)) * 1e-9


def rows(run, latency=None):
    """Requests that statistics count, in the order of finishing; those with a value of LATENCY, if one is named."""
    return [r for r in run.by_end if r.arrival >= instant(run) and (latency is None or r.latency(latency) is not None)]


def check(run, findings):
    """The stated cut: one number of requests, all that arrive before one instant, and the rule's own where all finish."""
    if not is_told(run):
        findings.say("warmup.unstated", "the run does not say when its warm-up ends")
        return
    width = 5
    while run.row[names.ARRIVED] > names.SECTIONS * width:
        width *= 2
    findings.true("warmup.half", (run.later("warmup") or 0) <= run.row[names.ARRIVED] / 2 + width,
                  f"{run.later('warmup')} of {run.row[names.ARRIVED]} requests are cut as warm-up, which is more than half")
    early = [r for r in run.requests if r.arrival < instant(run)]
    stated = run.later("warmup")
    if stated is not None and not run.unserved:
        findings.equal("warmup.requests", "requests cut as warm-up", stated, float(len(early)))
        right = mser5([r.e2e for r in run.requests]) if rule(run) == "mser5" else 0
        ties = len({r.arrival for r in run.requests}) < len(run.requests)  # that arrive together are cut together
        findings.true("warmup.mser5", stated == right or ties, f"{stated} requests cut as warm-up, MSER-5 of e2e_s says {right}")
