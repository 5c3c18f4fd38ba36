# SPDX-License-Identifier: MIT
"""Recomputes latencies: of each request, their statistics over a run and over classes, histograms."""

import math
from fractions import Fraction

import layout
import names
import slo
import warmup


def percentile(values, share):
    """The least value that at least SHARE of the sorted VALUES do not exceed."""
    return values[math.ceil(Fraction(str(share)) * len(values)) - 1]


def moments(values):
    """Mean and sample standard deviation."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1) if len(values) > 1 else 0.0
    return mean, math.sqrt(variance)


def check_row(run, findings):
    """What a row says of one request: times that follow from other times of it."""
    for r in run.requests:
        what = f"request {r.id}"
        findings.true("request.order", 0 <= r.queue <= r.ttft - r.queued + r.arrival and r.ttft <= r.served - r.arrival <= r.e2e, f"{what}: queue, ttft, e2e {r.queue} {r.ttft} {r.e2e}")
        findings.true("request.end", r.end <= run.length, f"{what} ends at {r.end} after the run's end {run.length}")
        findings.near("request.normalized_s", f"{what}: normalized_s", r.normalized, r.e2e / r.output, 0, 1)
        if r.output > 1 and not r.early:
            findings.near("request.tpot_s", f"{what}: tpot_s", r.tpot, (r.served - r.arrival - r.ttft) / (r.output - 1), 0, 1)
        else:
            findings.equal("request.tpot_s", f"{what} of one token, or whose tokens come at once: tpot_s", r.tpot, None)


def check_statistics(findings, kind, what, found, values, resolution=names.HALF_NANOSECOND):
    """FOUND(statistic) against VALUES, the latencies themselves in nanoseconds, whose mean is known to a RESOLUTION."""
    findings.equal(kind + ".count", f"{what} count", found("count"), float(len(values)))
    if found("sum") is not None:
        # Each time ends within a nanosecond of what its row says.
        findings.near(kind + ".sum", f"{what} sum", found("sum"), sum(values) * 1e-9, names.DOUBLE,
                      names.NANOSECOND * max(len(values), 1))
    if not values:
        for statistic in names.STATISTICS[1:]:
            findings.equal(kind + ".empty", f"{what} {statistic} of no values", found(statistic), None)
        return
    mean, sd = moments(values)
    ordered = sorted(values)
    findings.near(kind + ".mean", f"{what} mean", found("mean"), mean * 1e-9, names.DOUBLE, resolution)
    check_spread(findings, kind, what, found, ordered, sd)
    for statistic, share in names.PERCENTILES.items():
        right = percentile(ordered, share) * 1e-9
        findings.near(kind + ".percentile", f"{what} {statistic}", found(statistic), right, names.HISTOGRAM, names.NANOSECOND)
        if found(statistic) is not None:
            findings.true("percentile.outside",
                          ordered[0] * 1e-9 - 1.01 * resolution <= found(statistic) <= ordered[-1] * 1e-9 + 1.01 * resolution,
                          f"{what} {statistic} {found(statistic)!r} lies outside [min, max] = "
                          f"[{ordered[0] * 1e-9!r}, {ordered[-1] * 1e-9!r}]")


def check_spread(findings, kind, what, found, ordered, sd):
    for statistic, right in (("sd", sd), ("min", ordered[0]), ("max", ordered[-1])):
        if found(statistic) is not None or kind.startswith("metric"):
            # A standard deviation is off by as much as the squares of doubles are.
            findings.near(f"{kind}.{statistic}", f"{what} {statistic}", found(statistic), right * 1e-9, 1e-7,
                          2 * names.NANOSECOND)


def check_run(run, findings):
    for name in names.LATENCIES:
        if name != "itl_s":
            values = [r.latency(name) for r in warmup.rows(run, name)]
            check_statistics(findings, "metric", name, lambda statistic: run.value(name, "run", statistic), values)
            early = [v for v in (r.latency(name) for r in run.requests if r.arrival < warmup.instant(run)) if v is not None]
            check_histogram(run, findings, name, values + early, early)
            if run.has(name, names.ALL, "count"):
                check_statistics(findings, "all", f"{name} of all requests",
                                 lambda statistic: run.value(name, names.ALL, statistic), values + early)


def check_histogram(run, findings, name, values, early):
    """Buckets of all VALUES, and of the EARLY ones, which are warm-up, against the values themselves."""
    for scope, right in (("run", values), ("warmup", early)):
        buckets = [r for r in run.histograms if r["name"] == name and r["scope"] == scope]
        counted = [b["value_s"] for b in buckets for _ in range(b["count"])]
        if not findings.equal("histogram.count", f"histogram of {name}, scope {scope}: values", len(counted), len(right)):
            continue
        worst = max((abs(a - b * 1e-9) - names.NANOSECOND - names.HISTOGRAM * b * 1e-9 for a, b in zip(counted, sorted(right))),
                    default=-1)
        findings.true("histogram.value", worst <= 0, f"histogram of {name}, scope {scope}: a bucket is {worst} s off")


def check_gaps(run, findings, gaps):
    """Gaps between tokens, of which those count that end after the warm-up. Without warm-up their number and sum follow from
    the requests; with GAPS (all of them, from iterations) the whole distribution is checked."""
    found = lambda statistic: run.value("itl_s", "run", statistic)
    if gaps is not None:
        late = [gap for end, gap in gaps if end > warmup.instant(run) or not warmup.instant(run)]
        early = [gap for end, gap in gaps if end <= warmup.instant(run) and warmup.instant(run)]
        check_statistics(findings, "metric.itl", "itl_s", found, late, names.NANOSECOND)
        if run.has("itl_s", names.ALL, "count"):
            check_statistics(findings, "all.itl", "itl_s of all requests",
                             lambda statistic: run.value("itl_s", names.ALL, statistic), late + early, names.NANOSECOND)
        check_histogram(run, findings, "itl_s", late + early, early)
    elif not warmup.instant(run) and not run.unserved and not layout.failures(run):
        # A request that computes again on another replica has had some of its tokens before.
        count = sum(r.output - 1 for r in run.batched)
        findings.equal("metric.itl.count", "itl_s count", found("count"), float(count))
        if count:
            mean = sum(r.served - r.arrival - r.ttft for r in run.requests) / count * 1e-9
            findings.near("metric.itl.mean", "itl_s mean", found("mean"), mean, names.DOUBLE, names.NANOSECOND)


def check_intervals(run, findings):
    for (name, scope, statistic), row in run.metrics.items():
        low, high = row["ci_low"], row["ci_high"]
        findings.true("interval.half", (low is None) == (high is None),
                      f"{name} {scope} {statistic}: interval {low!r} to {high!r}")
        if low is not None and high is not None:
            findings.true("interval.value", low <= row["value"] <= high,
                          f"{name} {scope} {statistic}: {row['value']!r} outside its interval {low!r} to {high!r}")


def check_classes(run, findings):
    for name, rule in (run.at("slo", "classes", default={}) or {}).items():
        members = slo.members(run, rule)
        if members is None:
            continue
        for latency in names.LATENCIES:
            scope = "class:" + name
            if latency == "itl_s" or not run.has(latency, scope, "count"):
                continue
            values = [r.latency(latency) for r in members.served if r.latency(latency) is not None]
            check_statistics(findings, "class", f"class {name}: {latency}",
                             lambda statistic: run.value(latency, scope, statistic), values)


def check(run, findings, gaps):
    check_row(run, findings)
    warmup.check(run, findings)
    if warmup.is_told(run):
        check_run(run, findings)
        check_gaps(run, findings, gaps)
        check_classes(run, findings)
    check_intervals(run, findings)
