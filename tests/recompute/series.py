# SPDX-License-Identifier: MIT
"""Recomputes series over time from request and iteration rows."""

from bisect import bisect_left, bisect_right

import layout
import names


def check_series(run, findings, gaps):
    step = run.at("output", "timeseries_s", default=0)
    if not step or not run.series:
        return
    width = round(step * 1e9)
    count = run.length // width
    for name, points in run.series.items():
        expected = [k * width for k in range(1, count + 1)]
        found = [at for at, _ in points]
        findings.true("series.times", len(found) in (count, count - 1, count + 1) and found[:count - 1] == expected[:count - 1],
                      f"{name}: {len(found)} points, from {found[:1]} to {found[-1:]}, width {width}, run {run.length}")
    if run.lost + run.row[names.UNFINISHED] == 0:
        check_rates(run, findings, width)
    if gaps is not None:
        check_tokens(run, findings, gaps, width)
    check_levels(run, findings)
    check_busy_series(run, findings, width)


def check_rates(run, findings, width):
    for at, value in run.series.get("requests_per_s", []):
        low = sum(at - width < r.end < at for r in run.requests)
        high = sum(at - width <= r.end <= at for r in run.requests)
        findings.between("series.requests_per_s", f"requests_per_s at {at}", value,
                         (low - 1e-6) / (width * 1e-9), (high + 1e-6) / (width * 1e-9))
    values = run.series.get("output_tokens_per_s", [])
    first = sum(r.output for r in run.batched if values and r.end < values[-1][0])
    last = sum(r.output for r in run.batched if values and r.arrival + r.ttft <= values[-1][0])
    if values and not layout.failures(run):
        total = sum(v for _, v in values) * width * 1e-9
        findings.between("series.output_tokens_per_s", "output tokens in the whole series", total, first - 1e-6, last + 1e-6)


def check_tokens(run, findings, gaps, width):
    """Output tokens of each interval, one by one."""
    times = sorted([end for end, _ in gaps] + [r.arrival + r.ttft for r in run.batched])
    for at, value in run.series.get("output_tokens_per_s", []):
        low, high = bisect_left(times, at) - bisect_right(times, at - width), bisect_right(times, at) - bisect_left(times, at - width)
        findings.between("series.output_tokens_per_s", f"output_tokens_per_s at {at}", value,
                         (low - 1e-6) / (width * 1e-9), (high + 1e-6) / (width * 1e-9))


def check_levels(run, findings):
    """Waiting and running requests at an instant, where each waits once and nobody is without a row."""
    if run.unserved or layout.pools(run) or layout.fleet(run) or any(r.preemptions for r in run.requests):
        return
    static = run.named("policy", "batching", default="") in ("static_padded", "static_prepacked", "dynamic_batch", "fixed_batch")
    for name, span in (("waiting", lambda r: (r.queued, r.queued + r.queue)),
                       ("running", lambda r: (r.queued + r.queue, r.served))):
        spans = [span(r) for r in run.batched]
        for at, value in run.series.get(name, []):
            low = sum(a < at < b for a, b in spans)
            high = sum(a <= at <= b for a, b in spans)
            if name == "waiting" or not static:
                findings.between("series." + name, f"{name} at {at}", value, low, high)


def check_busy_series(run, findings, width):
    servers = sum(layout.server_counts(run).values())
    if layout.fleet(run):
        return
    points = run.series.get("busy", [])
    worked = [0] * (len(points) + 1)
    for i in run.iterations:
        k = i.start // width
        while k < len(points) and k * width < i.end:
            worked[k] += min(i.end, (k + 1) * width) - max(i.start, k * width)
            k += 1
    for (at, value), work in zip(points, worked):
        findings.near("series.busy", f"busy at {at}", value, work / (width * servers), 1e-9, 1e-9)


def check(run, findings, gaps=None):
    """GAPS: all gaps between tokens, where iterations tell them."""
    check_series(run, findings, gaps)
