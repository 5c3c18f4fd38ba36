# SPDX-License-Identifier: MIT
"""What flowed through a run: counts, throughput, stations in the words of queueing theory, theory beside them, shares of
time, bands, series over time."""

import math
from fractions import Fraction

import names
import slo
import warmup


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


def ratio(a, b):
    return a / b if b else None


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
    if not run.lost + run.row[names.UNFINISHED] and not run.at("cluster", "failures") and not any(r.preemptions for r in requests):
        near("prefix_hit_rate", ratio(sum(r.cached for r in counted), sum(r.prompt for r in counted)) or 0.0)
    busy = sum(i.end - i.start for i in iterations)
    if busy:
        rows = sum((i.decodes + len(i.prompts)) * (i.end - i.start) for i in iterations)
        near("batch_sequences", rows / busy)
        near("batch_tokens", sum(i.decodes + i.prompt_tokens for i in iterations) / len(iterations))
        padded = sum(i.padded for i in iterations)
        near("padding_waste", (padded - sum(i.decodes + i.prompt_tokens for i in iterations)) / padded)
        held = run.value("replica_hours") * 3600 if fleet(run) else sum(server_counts(run).values()) * seconds
        near("utilization", busy * 1e-9 / held)
    if not fleet(run):
        near("replica_hours", replicas(run) * seconds / 3600)
    check_shares(run, findings)
    check_slo_values(run, findings, slo.keepers(run))


def in_flight(run):
    """Batches that a replica can have in flight at once: those of a pipeline's stages, or of a pair's two."""
    return int(run.at("cluster", "pipeline_parallel", default=1))


def fleet(run):
    return any(run.at("cluster", key) for key in ("failures", "autoscaling"))


def pools(run):
    """Replicas and stages of the prefill and decode pool; None where replicas do both."""
    if run.named("cluster", "placement", default="colocated") in ("colocated", "redundant_kv"):
        return None
    placement = run.at("cluster", "placement")
    return [(placement.get(p, {}).get("replicas", 1), placement.get(p, {}).get("pipeline_parallel", in_flight(run)))
            for p in ("prefill", "decode")] if isinstance(placement, dict) else [(1, 1), (1, 1)]


def replicas(run):
    """Replicas of a run, attention ranks apart."""
    if pools(run):
        return sum(n for n, _ in pools(run))
    return int(run.at("cluster", "replicas", default=1)) * int(run.at("cluster", "data_parallel", default=1))


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
    findings.true("share.costs", sum(parts) <= 1 + len(run.iterations) / max(busy, 1) + 1e-9, f"measured, interpolated, estimated, extrapolated: {parts}")


def check_slo_values(run, findings, kept):
    rule = run.at("slo", default={})
    if kept is None:
        return
    findings.near("value.goodput_per_s", "goodput_per_s", run.value("goodput_per_s"), len(kept) / warmup.seconds(run), 1e-9, 1e-12)
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
        if not r.preemptions and not run.at("cluster", "failures"):
            findings.true("parts.preempted", "preempted" not in r.parts, f"request {r.id} was never preempted: {r.parts}")
            if not fleet(run):
                early = sum(r.parts.get(p, 0) for p in ("queue", "prefill_own", "prefill_stall", "route"))
                findings.equal("parts.ttft", f"request {r.id}: parts until the first token", early, r.ttft)
                findings.true("parts.queue", r.parts.get("queue", 0) <= r.queue,
                              f"request {r.id}: part queue {r.parts.get('queue', 0)} above queue_s {r.queue}")
    for part, total in totals.items():
        right = total / whole if whole else None
        if whole and warmup.is_told(run):
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
    for part in names.PARTS:
        total = sum((run.value("e2e_s", s, "count") or 0) * (run.value("e2e_s_part_" + part, s, "mean") or 0)
                    for s, _, _ in names.BANDS)
        findings.near("band.part", f"e2e_s_part_{part}: sum over bands", total,
                      sum(r.parts.get(part, 0) for r in warmup.rows(run)) * 1e-9, 1e-9, 1e-9)


# --------------------------------------------------------------------------------------------------------- stations
class Visit:
    """A request's stay at a station."""
    __slots__ = ("enter", "wait", "leave", "last")

    def __init__(self, enter, wait, leave, last=True):
        self.enter, self.wait, self.leave = enter, wait, leave


def visits(run):
    """{station: visits}; None for a station of which rows do not tell."""
    system = [Visit(r.arrival, r.queue, r.end) for r in run.requests]
    stations = {names.SYSTEM: system, names.QUEUE: system}
    if not run.at("cluster", "failures"):
        first = first_replicas(run)
        for n in range(station_count(run)):
            stations[f"replica:{n}"] = []
        for r in run.requests:
            for station, visit in request_visits(run, r, first):
                stations.setdefault(station, []).append(visit)
    return stations


def station_count(run):
    return replicas(run) // (2 if run.named("cluster", "placement") == "redundant_kv" else 1)


def first_replicas(run):
    """{request: the replica that computed its first prompt tokens}."""
    first = {}
    for i in sorted(run.iterations, key=lambda i: i.start):
        for number, _ in i.prompts:
            first.setdefault(number, i.replica)
    return first


def request_visits(run, r, first):
    if pools(run) and first.get(r.id) != r.replica:
        prefill = Visit(r.arrival, r.queue, r.arrival + r.ttft)
        if r.output == 1:
            return [(f"replica:{first.get(r.id)}", prefill)]
        joined = r.arrival + r.ttft + r.parts.get("transfer", 0)
        return [(f"replica:{first.get(r.id)}", prefill), (f"replica:{r.replica}", Visit(joined, None, r.end))]
    central = run.named("cluster", "routing", default="round_robin") == "central_queue"
    return [(f"replica:{r.replica}", Visit(r.arrival + (r.queue if central else 0), 0 if central else r.queue, r.end))]


def scv(values):
    """Squared coefficient of variation: population variance over the squared mean."""
    if len(values) < 2 or not sum(values):
        return None
    mean = sum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / len(values) / mean ** 2


def check_stations(run, findings):
    for name, row in run.stations.items():
        check_little(findings, name, row, run.stations.get(name + "/queue", row))
    if run.lost or run.row[names.UNFINISHED] or not run.length:
        return  # requests without a row have been at stations
    central = run.named("cluster", "routing", default="round_robin") == "central_queue"
    for station, stay in visits(run).items():
        kind = "station.central" if central and station.startswith("replica:") else "station"
        row = run.stations.get(station)
        if findings.true(kind + ".absent", row is not None, f"station {station} has no row"):
            check_station(run, findings, kind, station, row, stay)
    check_service(run, findings)


def check_little(findings, name, row, queue):
    """Little's law of a station, and of its QUEUE, through which not every visit goes."""
    length, rate, stay = row[names.L], row[names.RATE], row[names.W]
    findings.true("station.residual", row[names.RESIDUAL] is not None and row[names.RESIDUAL] <= names.DOUBLE,
                  f"{name}: Little's law residual {row[names.RESIDUAL]!r}")
    if None not in (length, rate, stay):
        findings.near("station.little", f"{name}: L = lambda W", length, rate * stay, names.DOUBLE, 1e-12)
    if None not in (row[names.LQ], queue[names.RATE], row[names.WQ]):
        findings.near("station.little_q", f"{name}: Lq = lambda Wq", row[names.LQ], queue[names.RATE] * row[names.WQ],
                      names.DOUBLE, 1e-12)


def check_station(run, findings, kind, station, row, stay):
    n, length = len(stay), run.length
    waits = [v.wait for v in stay if v.wait is not None]
    findings.near(kind + ".lambda", f"{station}: lambda", row[names.RATE], n / run.seconds, 1e-9, 1e-12)
    inside = sum(v.leave - v.enter for v in stay)
    if station == names.QUEUE:
        inside = sum(v.wait for v in stay)
    elif names.W in row and not pools(run):
        findings.near(kind + ".lq", f"{station}: Lq", row[names.LQ], sum(waits) / length, 1e-9, 1e-12)
        findings.near(kind + ".wq", f"{station}: Wq", row[names.WQ], sum(waits) / n * 1e-9 if n else 0.0, 1e-9, 1e-9)
    findings.near(kind + ".l", f"{station}: L", row[names.L], inside / length, 1e-9, 1e-12)
    findings.near(kind + ".w", f"{station}: W", row[names.W], inside / n * 1e-9 if n else 0.0, 1e-9, 1e-9)
    entries = sorted(v.enter for v in stay)
    gaps = [b - a for a, b in zip(entries, entries[1:])]
    if gaps and sum(gaps):
        ahead = "_ahead" if pools(run) and run.at("engine") else ""
        findings.near(kind + ".arrival_scv" + ahead, f"{station}: SCV of gaps between arrivals", row[names.ARRIVAL_SCV], scv(gaps), 1e-6,
                      1e-9)
    if station != names.QUEUE and len(stay) > 1 and None not in [v.wait for v in stay]:
        findings.near(kind + ".service_scv", f"{station}: SCV of service times", row[names.SERVICE_SCV],
                      scv([v.leave - v.enter - v.wait for v in stay]), 1e-6, 1e-9)


def check_service(run, findings):
    """Busy shares and departures per second of busy time."""
    busy = {}
    for i in run.iterations:
        busy[i.replica] = busy.get(i.replica, 0) + i.end - i.start
    servers = server_counts(run)
    done = {}
    for stay in visits(run).items():
        done[stay[0]] = len(stay[1])
    cells = {f"replica:{n}": (b, servers.get(n, 1)) for n, b in busy.items()}
    cells[names.SYSTEM] = sum(busy.values()), sum(servers.values())
    for station, (worked, count) in cells.items():
        row = run.stations.get(station)
        if row is None:
            continue
        column = next(c for c in names.BUSY if c in row)
        findings.near("station.busy", f"{station}: busy share", row[column], worked / (count * run.length), 1e-9, 1e-12)
        if station in done and not (run.named("cluster", "routing") == "central_queue" and station != names.SYSTEM):
            findings.near("station.mu", f"{station}: mu", row[names.SERVICE_RATE] or 0.0,
                          ratio(done[station], worked * 1e-9) or 0.0, 1e-9)


def server_counts(run):
    """{replica: batches that it can have in flight at once}."""
    if pools(run):
        (first, stages), (second, more) = pools(run)
        return {n: stages if n < first else more for n in range(first + second)}
    each = 2 if run.named("cluster", "placement") == "redundant_kv" else in_flight(run)
    return {n: each for n in range(station_count(run))}


# ----------------------------------------------------------------------------------------------------------- theory
def erlang_c(servers, offered):
    """The chance of waiting in M/M/c with an offered load of so many servers (Erlang 1917)."""
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    share = offered / servers
    return blocked / (1 - share + share * blocked)


def waits(rate, service_rate, servers, arrival_scv, service_scv):
    """{formula: mean wait in seconds} of c servers that each serve SERVICE_RATE requests a second; None above capacity."""
    share = rate / (servers * service_rate)
    if share >= 1:
        return dict.fromkeys((names.ERLANG_C, names.POLLACZEK, names.ALLEN_CUNNEEN))
    exponential = erlang_c(servers, rate / service_rate) / (servers * service_rate - rate)
    alone = share / (service_rate * (1 - share))
    return {names.ERLANG_C: exponential, names.POLLACZEK: alone * (1 + service_scv) / 2,
            names.ALLEN_CUNNEEN: exponential * (arrival_scv + service_scv) / 2}


def check_theory(run, findings):
    for row in run.theory:
        station = run.stations[row["station"]]
        if None in (station[names.RATE], station[names.SERVICE_RATE], station[names.ARRIVAL_SCV], station[names.SERVICE_SCV]):
            continue
        servers = sum(server_counts(run).values()) if row["station"] == names.SYSTEM else 1
        right = waits(station[names.RATE], station[names.SERVICE_RATE], servers, station[names.ARRIVAL_SCV],
                      station[names.SERVICE_SCV])
        for word, value in right.items():
            if word in row["formula"]:
                # Near saturation a formula magnifies the last digits of its inputs.
                share = station[names.RATE] / (servers * station[names.SERVICE_RATE])
                digits = 1e-9 / max(abs(1 - share), 1e-9) if share != 1 else math.inf
                if digits < 1e-3:
                    findings.near("theory." + word.lower().replace(" ", "_"), f"{row['station']}: {row['formula']}",
                                  row["value"], value, digits)
        findings.true("theory.met", row["assumptions_met"] in (0, 1), f"assumptions_met {row['assumptions_met']!r}")


# ----------------------------------------------------------------------------------------------------------- series
def check_series(run, findings):
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
    check_levels(run, findings)
    check_busy_series(run, findings, width)


def check_rates(run, findings, width):
    for at, value in run.series.get("requests_per_s", []):
        low = sum(at - width < r.end < at for r in run.requests)
        high = sum(at - width <= r.end <= at for r in run.requests)
        findings.between("series.requests_per_s", f"requests_per_s at {at}", value,
                         (low - 1e-6) / (width * 1e-9), (high + 1e-6) / (width * 1e-9))
    values = run.series.get("output_tokens_per_s", [])
    first = sum(r.output for r in run.requests if values and r.end < values[-1][0])
    last = sum(r.output for r in run.requests if values and r.arrival + r.ttft <= values[-1][0])
    if values and not run.at("cluster", "failures"):
        total = sum(v for _, v in values) * width * 1e-9
        findings.between("series.output_tokens_per_s", "output tokens in the whole series", total, first - 1e-6, last + 1e-6)


def check_levels(run, findings):
    """Waiting and running requests at an instant, where each waits once and nobody is without a row."""
    if run.unserved or pools(run) or fleet(run) or any(r.preemptions for r in run.requests):
        return
    static = run.named("policy", "batching", default="") in ("static_padded", "static_prepacked", "dynamic_batch", "fixed_batch")
    for name, span in (("waiting", lambda r: (r.arrival, r.arrival + r.queue)),
                       ("running", lambda r: (r.arrival + r.queue, r.end))):
        spans = [span(r) for r in run.requests]
        for at, value in run.series.get(name, []):
            low = sum(a < at < b for a, b in spans)
            high = sum(a <= at <= b for a, b in spans)
            if name == "waiting" or not static:
                findings.between("series." + name, f"{name} at {at}", value, low, high)


def check_busy_series(run, findings, width):
    servers = sum(server_counts(run).values())
    if fleet(run):
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


def check(run, findings):
    check_counts(run, findings)
    check_values(run, findings)
    check_parts(run, findings)
    if warmup.is_told(run):
        check_bands(run, findings)
    check_stations(run, findings)
    check_theory(run, findings)
    check_series(run, findings)
