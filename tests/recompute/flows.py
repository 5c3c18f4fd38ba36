# SPDX-License-Identifier: MIT
"""Recomputes what flowed through a run: counts, throughput, shares, attainment, parts of time, bands of them."""

import math

import iterations as iterations_of
import layout
import names
import slo
import warmup
from findings import ratio


def check_counts(run, findings):
    row = run.row
    total = row[names.FINISHED] + row[names.REJECTED] + row[names.UNFINISHED] + run.lost
    findings.equal("counts.sum", "arrived = finished + rejected + lost + unfinished", row[names.ARRIVED], total)
    findings.true("counts.lost", names.LOST in row or run.lost == 0,
                  f"{run.lost} requests are lost, and table run has no column for them")
    if run.at("output", "requests") is True:
        findings.equal("counts.rows", "rows of finished requests", len(run.requests), row[names.FINISHED])
    if run.offered is not None:
        findings.equal("counts.offered", "arrived requests of the workload", row[names.ARRIVED], len(run.offered))
        for r in run.requests:
            o = run.offered[r.id] if r.id < len(run.offered) else None
            findings.true("counts.workload", o and (o.arrival, o.prompt, o.output) == (r.arrival, r.prompt, r.output),
                          f"request {r.id} is not the one that the workload offers")
    findings.equal("counts.iterations", "iterations", row["iterations"], len(run.iterations))
    missing = [n for n in names.REQUIRED if not run.has(n)]
    findings.true("names.missing", not missing, f"metrics that every run has are absent: {missing}")


def check_values(run, findings):
    """Metrics with one value."""
    def near(name, right, relative=names.DOUBLE):
        findings.near("value." + name, name, run.value(name), right, relative, 1e-12)

    seconds, requests, iterations = run.seconds, run.requests, run.iterations
    if not seconds or not warmup.is_told(run):
        return
    counted = warmup.rows(run)
    near("requests_per_s", ratio(len(counted), warmup.seconds(run)))
    near("input_tokens_per_s", ratio(sum(r.prompt for r in counted), warmup.seconds(run)))
    near("output_tokens_per_s", ratio(sum(r.output for r in counted), warmup.seconds(run)))
    near("makespan_s", seconds)
    if run.lost + run.row[names.UNFINISHED] == 0:
        near("preemptions", float(sum(r.preemptions for r in requests)))
        near("recomputed_tokens", float(sum(r.recomputed for r in requests)))
    again = layout.failures(run) or any(r.preemptions for r in requests)  # a request finds what it computed itself
    if not again and not run.lost + run.row[names.UNFINISHED]:
        near("prefix_hit_rate", ratio(sum(r.cached for r in counted), sum(r.prompt for r in counted if not r.early)) or 0.0)
    busy = sum(i.end - i.start for i in iterations)
    if busy:
        rows = sum((i.decodes + len(i.prompts)) * (i.end - i.start) for i in iterations)
        near("batch_sequences", rows / busy)
        if not iterations_of.may_waste(run):
            near("batch_tokens", sum(i.decodes + i.prompt_tokens for i in iterations) / len(iterations))
            padded = sum(i.padded for i in iterations)
            near("padding_waste", (padded - sum(i.decodes + i.prompt_tokens for i in iterations)) / padded)
        servers = layout.server_counts(run).values()
        held = run.value("replica_hours") * 3600 * max(servers) if layout.fleet(run) else sum(servers) * seconds
        if not layout.fleet(run) or len(set(servers)) == 1:  # else replica hours are of replicas that are not alike
            near("utilization", busy * 1e-9 / held)
    check_totals(run, findings)
    if not layout.fleet(run):
        near("replica_failures", 0.0)
        near("replica_hours", layout.replicas(run) * seconds / 3600)
    check_shares(run, findings)
    check_slo_values(run, findings, slo.keepers(run))


def check_totals(run, findings):
    """Metrics that follow from other metrics, where the program has them."""
    findings.equal("value.lost_requests", "lost_requests", run.value(names.LOST_METRIC), float(run.lost))
    whole = {"prompt_tokens": sum(r.prompt for r in run.requests), "output_tokens": sum(r.output for r in run.requests)}
    for name, right in whole.items():
        if run.has(name, names.ALL, "sum"):
            findings.equal("all." + name, name, run.value(name, names.ALL, "sum"), float(right))
    busy = next((run.stations[names.SYSTEM][c] for c in names.BUSY if c in run.stations[names.SYSTEM]), None)
    if run.later("busy") is not None and not layout.fleet(run):
        findings.near("value.busy", "busy", run.later("busy"), busy)
    rule = run.at("slo", default={})
    common = [limit for limit in rule if limit in slo.METRICS]
    if run.has("goodput_per_s", names.ALL) and not common and not rule.get("classes"):
        findings.near("all.goodput_per_s", "goodput_per_s of all requests", run.value("goodput_per_s", names.ALL),
                      len(run.requests) / run.seconds)
    if run.later("unserved_share") is not None and not warmup.instant(run):
        findings.near("value.unserved_share", "unserved_share", run.later("unserved_share"),
                      ratio(run.unserved, run.row[names.ARRIVED]) or 0.0)
    if run.later("kv_concurrency") and run.requests and not run.unserved and not warmup.instant(run):
        mean = sum(r.prompt + r.output for r in run.requests) / len(run.requests)
        findings.near("kv.concurrency", "requests of mean length that the pool holds", run.later("kv_concurrency"),
                      run.later("kv_tokens") / mean)


def check_shares(run, findings):
    if (run.value("kv_use_mean") or 0) > 1:
        findings.say("kv.mean_above_one", f"kv_use_mean is {run.value('kv_use_mean')!r}")
    for name in ("measured_share", "interpolated_share", "estimated_share", "extrapolated_share", "padding_waste",
                 "prefix_hit_rate", "bubble_share", "utilization", "kv_use_peak", "mfu", "busy"):
        value = run.value(name)
        if value is not None:
            findings.between("share." + name, name, value, -1e-12, 1 + 1e-9)
    parts = [run.value(n + "_share") or 0 for n in ("measured", "interpolated", "estimated", "extrapolated")]
    # The time of each iteration is a whole number of nanoseconds where it is summed.
    busy = sum(i.end - i.start for i in run.iterations)
    findings.true("share.costs", sum(parts) <= 1 + len(run.iterations) / max(busy, 1) + 1e-9,
                  f"measured, interpolated, estimated, extrapolated: {parts}")


def check_slo_values(run, findings, kept):
    rule = run.at("slo", default={})
    if kept is None:
        return
    findings.near("value.goodput_per_s", "goodput_per_s", run.value("goodput_per_s"),
                  ratio(len(kept), warmup.seconds(run)) or 0.0, 1e-9, 1e-12)
    if any(m in rule for m in slo.METRICS) or "classes" in rule:
        people = slo.everybody(run)
        total = len(people.served) + len(people.unserved)
        right = ratio(sum(r.id in kept for r in people.served), total)
        findings.near("value.slo_attainment", "slo_attainment", run.value("slo_attainment"), right, 1e-9, 1e-12)
    for name, own in (rule.get("classes") or {}).items():
        people = slo.members(run, own)
        total, keeping = len(people.served) + len(people.unserved), slo.keepers(run, name)
        if run.has("slo_attainment", "class:" + name):
            findings.near("value.class_attainment", f"class {name}: slo_attainment",
                          run.value("slo_attainment", "class:" + name),
                          ratio(sum(r.id in keeping for r in people.served), total), 1e-9, 1e-12)
    if slo.judges_windows(rule):
        check_windows(run, findings, kept)


def check_windows(run, findings, kept):
    windows = slo.judge_windows(run, kept)
    if windows is None:
        return
    starts = {s for (n, s, _), row in run.metrics.items() if n == "requests" and s.startswith("window:") and row["value"]}
    findings.equal("window.starts", "windows", sorted(round(float(s[7:]) * 1e9) for s in starts), sorted(windows))
    for scope in starts:
        inside = windows.get(round(float(scope[7:]) * 1e9))
        if inside:
            findings.equal("window.requests", f"{scope}: requests", run.value("requests", scope, "count"), float(inside[0]))
            findings.near("window.attainment", f"{scope}: attainment", run.value("slo_attainment", scope),
                          inside[1] / inside[0], 1e-9, 1e-12)
    judged = [w for w in windows.values() if w[2] is not None]
    if all(w[3] for w in judged):
        unserved = "unserved.windows" if run.unserved else "window.kept"
        findings.near(unserved, "slo_windows_kept", run.value("slo_windows_kept"),
                      ratio(sum(w[2] for w in judged), len(judged)), 1e-9)


# ------------------------------------------------------------------------------------------------------------ parts
def check_parts(run, findings):
    """Parts of each request's time sum to the whole, to the nanosecond; shares of parts follow."""
    totals, whole = dict.fromkeys(names.PARTS, 0), sum(r.e2e for r in warmup.rows(run))
    for r in run.requests:
        findings.equal("parts.sum", f"request {r.id}: sum of parts", sum(r.parts.values()), r.e2e)
        findings.true("parts.names", set(r.parts) <= set(names.PARTS) and min(r.parts.values(), default=0) >= 0,
                      f"request {r.id}: parts {r.parts}")
        for part, value in r.parts.items():
            totals[part] = totals.get(part, 0) + (value if r.arrival >= warmup.instant(run) else 0)
        if not r.preemptions and not layout.failures(run):
            findings.true("parts.preempted", "preempted" not in r.parts, f"request {r.id} was never preempted: {r.parts}")
            if not layout.fleet(run):
                early = sum(r.parts.get(p, 0) for p in ("delay", "queue", "kv_load", "prefill_own", "prefill_stall", "route"))
                findings.equal("parts.ttft", f"request {r.id}: parts until the first token", early, r.ttft)
                findings.true("parts.queue", r.parts.get("queue", 0) <= r.queue,
                              f"request {r.id}: part queue {r.parts.get('queue', 0)} above queue_s {r.queue}")
    for part, total in totals.items():
        right = total / whole if whole else None
        if whole and warmup.is_told(run) and (total or part not in names.RARE):
            findings.near("parts.share", f"time_share_{part}", run.value("time_share_" + part), right, 1e-9, 1e-12)


def check_bands(run, findings):
    """Mean parts by band of latency: counts, and means of sums, against the sorted latencies themselves."""
    for name in ("ttft_s", "e2e_s"):
        values, start = sorted(r.latency(name) for r in warmup.rows(run)), 0
        counts = [run.value(name, scope, "count") for scope, _, _ in names.BANDS]
        if None in counts:
            findings.true("band.absent", not values, f"{name}: bands are absent")
            continue
        findings.equal("band.count", f"{name}: requests in all bands", sum(counts), float(len(values)))
        for (scope, _, to), count in zip(names.BANDS, counts):
            members, start = values[start:start + int(count)], start + int(count)
            parts = [r["value"] for (n, s, _), r in run.metrics.items() if s == scope and n.startswith(name + "_part_")]
            if members:
                # Requests of one bucket of the histogram may stand on either side of the border.
                findings.near("band.mean", f"{name} {scope}: sum of mean parts", sum(p or 0 for p in parts),
                              sum(members) / len(members) * 1e-9, names.HISTOGRAM, names.NANOSECOND)
            border = values[min(int(to * len(values)), len(values) - 1)] if values else 0
            same = sum(abs(v - border) <= 2 * names.HISTOGRAM * v for v in values)
            findings.between("band.border", f"{name} {scope}: requests up to its end", start,
                             math.floor(to * len(values)) - same, math.ceil(to * len(values)) + same)
    if run.value("e2e_s", names.BANDS[0][0], "count") is None:
        return
    if not any(r.preemptions for r in run.requests) and not layout.failures(run):
        for part in ("delay", "queue", "kv_load", "prefill_own", "prefill_stall"):
            total = sum((run.value("ttft_s", s, "count") or 0) * (run.value("ttft_s_part_" + part, s, "mean") or 0)
                        for s, _, _ in names.BANDS)
            findings.near("band.part", f"ttft_s_part_{part}: sum over bands", total,
                          sum(r.parts.get(part, 0) for r in warmup.rows(run)) * 1e-9, 1e-9, 1e-9)
    for part in names.PARTS:
        total = sum((run.value("e2e_s", s, "count") or 0) * (run.value("e2e_s_part_" + part, s, "mean") or 0)
                    for s, _, _ in names.BANDS)
        findings.near("band.part", f"e2e_s_part_{part}: sum over bands", total,
                      sum(r.parts.get(part, 0) for r in warmup.rows(run)) * 1e-9, 1e-9, 1e-9)


def check_answers(run, findings):
    """What a cache has answered: how many requests, and, where it keeps answers, which. Where nobody is without a row."""
    before, _ = layout.delays_around(run)
    caches = [name for name in before if run.at("cluster", "pools", name, "kind") == "cache"]
    early = {r.id for r in run.requests if r.early}
    if len(caches) != 1 or run.unserved:
        findings.true("cache.early", not early or caches or run.unserved, f"requests without a replica: {early}")
        return
    scope, rule = "pool:" + caches[0], run.at("cluster", "pools", caches[0])
    findings.equal("cache.answered", "answered_requests", run.value("answered_requests", scope), float(len(early)))
    findings.near("cache.share", "answered_share", run.value("answered_share", scope) or 0.0,
                  ratio(len(early), len(run.requests)) or 0.0, names.DOUBLE)
    if "entries" in rule and run.offered is not None and len(before) == 1 and not layout.failures(run):
        right = keep_answers(run, rule["entries"], rule.get("key", "prompt") == "prefix_group")
        if right is not None:
            findings.equal("cache.which", "requests that the cache has answered", sorted(early), sorted(right))


def keep_answers(run, entries, by_group):
    """Requests that find their answer among the last asked for; None where a look and an answer are at one instant."""
    looks = [(r.queued, 0, r.arrival, r.id) for r in run.requests]
    comes = [(r.end, 1, r.replica, r.id) for r in run.batched]
    if {at for at, *_ in looks} & {at for at, *_ in comes} or len({at for at, *_ in looks}) < len(looks):
        return None
    kept, found = [], set()
    for at, answer, _, number in sorted(looks + comes):
        offered = run.offered[number]
        key = (offered.group or (0, number)) if by_group else offered.same
        if key in kept:
            kept.remove(key)
            kept.append(key)
            if not answer:
                found.add(number)
        elif answer:
            kept = (kept + [key])[-entries:]
    return found


def check(run, findings):
    check_counts(run, findings)
    check_answers(run, findings)
    check_values(run, findings)
    check_parts(run, findings)
    if warmup.is_told(run):
        check_bands(run, findings)
