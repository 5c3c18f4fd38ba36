# SPDX-License-Identifier: MIT
"""Recomputes stations in the words of queueing theory from request and iteration rows, and theory from stations."""

import bisect
import math

import layout
import names
from findings import ratio


class Visit:
    """A request's stay at a station. What it does not wait, it is served, unless that is said."""
    __slots__ = ("enter", "wait", "leave", "service")

    def __init__(self, enter, wait, leave, service=None):
        self.enter, self.wait, self.leave = enter, wait, leave
        self.service = service if service is not None or wait is None else leave - enter - wait


def visits(run):
    """{station: visits}; None for a station of which rows do not tell."""
    system = [Visit(r.arrival, None if r.early else r.queue, r.end, r.served - r.queued - r.queue) for r in run.requests]
    stations = {names.SYSTEM: system, names.QUEUE: [Visit(r.queued, r.queue, r.end) for r in run.batched]}
    before, after = layout.delays_around(run)
    for named, stays in ((before, [(r.arrival, r.id, r.queued) for r in run.requests]),
                         (after, [(r.served, r.replica, r.id, r.end) for r in run.batched])):
        if len(named) == 1:  # of several, rows have the sum
            row = layout.delay_row(run, named[0])
            stations[row] = stations[row + "/queue"] = delay_visits(sorted(stays), layout.delays(run)[named[0]])
    # Where a request that a mixed pool kept was preempted, it may have left later than with its first token.
    leaves_late = run.named("cluster", "placement", default="") == "mixed_pool" and any(r.preemptions for r in run.requests)
    if not layout.failures(run) and not leaves_late:
        first = first_replicas(run)
        for n in range(layout.station_count(run)):
            stations[f"replica:{n}"], stations[f"replica:{n}/queue"] = [], []
        for r in run.batched:
            for station, visit in request_visits(run, r, first):
                stations.setdefault(station, []).append(visit)
                if visit.wait is not None:
                    stations.setdefault(station + "/queue", []).append(visit)
    return stations


def delay_visits(stays, servers):
    """Of c servers and one queue in order of arrival, STAYS, from their first number to their last: a request is served as
    soon as all but c - 1 before it have left."""
    left, visited = [], []
    for come, *_, gone in stays:
        free = left[-servers] if 0 < servers <= len(left) else 0
        begun = max(come, free)
        bisect.insort(left, gone)
        visited.append(Visit(come, begun - come, gone))
    return visited


def first_replicas(run):
    """{request: the replica that computed its first prompt tokens}."""
    first = {}
    for i in sorted(run.iterations, key=lambda i: i.start):
        for number, _ in i.prompts:
            first.setdefault(number, i.replica)
    return first


def request_visits(run, r, first):
    if layout.pools(run) and first.get(r.id) != r.replica:
        prefill = Visit(r.arrival, r.queue, r.arrival + r.ttft)
        if r.output == 1:
            return [(f"replica:{first.get(r.id)}", prefill)]
        joined = r.arrival + r.ttft + r.parts.get("transfer", 0)
        return [(f"replica:{first.get(r.id)}", prefill), (f"replica:{r.replica}", Visit(joined, None, r.served))]
    central = run.named("cluster", "routing", default="round_robin") == "central_queue"
    return [(f"replica:{r.replica}", Visit(r.queued + (r.queue if central else 0), 0 if central else r.queue, r.served))]


def scv(values):
    """Squared coefficient of variation: population variance over the squared mean."""
    if len(values) < 2 or not sum(values):
        return None
    mean = sum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / len(values) / mean ** 2


def check_stations(run, findings):
    for name, row in run.stations.items():
        check_little(findings, name, row, run.stations.get(names.QUEUE if name == names.SYSTEM else name + "/queue", row))
    if run.lost or run.row[names.UNFINISHED] or not run.length:
        return  # requests without a row have been at stations
    central = run.named("cluster", "routing", default="round_robin") == "central_queue"
    for station, stay in visits(run).items():
        row = run.stations.get(station)
        if not findings.true("station.absent", row is not None, f"station {station} has no row"):
            continue
        if central and station.startswith("replica:") and row[names.L] is None:
            continue  # requests of a shared queue arrive at no replica
        check_station(run, findings, "station", station, row, stay)
    check_service(run, findings)


def check_little(findings, name, row, queue):
    """Little's law of a station, and of its QUEUE, through which not every visit goes."""
    length, rate, stay = row[names.L], row[names.RATE], row[names.W]
    findings.true("station.residual", length is None or row[names.RESIDUAL] is not None and row[names.RESIDUAL] <= names.DOUBLE,
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
    if station.endswith(names.QUEUE):
        inside = sum(v.wait for v in stay)
    elif names.W in row and not layout.pools(run):
        findings.near(kind + ".lq", f"{station}: Lq", row[names.LQ], sum(waits) / length, 1e-9, 1e-12)
        findings.near(kind + ".wq", f"{station}: Wq", row[names.WQ], sum(waits) / len(waits) * 1e-9 if waits else 0.0, 1e-9, 1e-9)
    findings.near(kind + ".l", f"{station}: L", row[names.L], inside / length, 1e-9, 1e-12)
    findings.near(kind + ".w", f"{station}: W", row[names.W], inside / n * 1e-9 if n else 0.0, 1e-9, 1e-9)
    entries = sorted(v.enter for v in stay)
    gaps = [b - a for a, b in zip(entries, entries[1:])]
    if gaps and sum(gaps):
        ahead = "_ahead" if layout.pools(run) and run.at("engine") else ""
        findings.near(kind + ".arrival_scv" + ahead, f"{station}: SCV of gaps between arrivals", row[names.ARRIVAL_SCV],
                      scv(gaps), 1e-6, 1e-9)
    if not station.endswith(names.QUEUE) and len(stay) > 1 and None not in [v.service for v in stay]:
        findings.near(kind + ".service_scv", f"{station}: SCV of service times", row[names.SERVICE_SCV],
                      scv([v.service for v in stay]), 1e-6, 1e-9)


def check_service(run, findings):
    """Busy shares and departures per second of busy time."""
    busy = {}
    for i in run.iterations:
        busy[i.replica] = busy.get(i.replica, 0) + i.end - i.start
    servers = layout.server_counts(run)
    stays = visits(run)
    done = {station: len(stay) for station, stay in stays.items()}
    cells = {f"replica:{n}": (b, servers.get(n, 1)) for n, b in busy.items()}
    for name, count in layout.delays(run).items():
        row = layout.delay_row(run, name)
        if count and row in stays:
            cells[row] = sum(v.service for v in stays[row]), count
    cells[names.SYSTEM] = sum(busy.values()), sum(servers.values())
    for station, (worked, count) in cells.items():
        row = run.stations.get(station)
        if row is None:
            continue
        column = next(c for c in names.BUSY if c in row)
        findings.near("station.busy", f"{station}: busy share", row[column], worked / (count * run.length), 1e-9, 1e-12)
        if station in done and not (run.named("cluster", "routing") == "central_queue" and station.startswith("replica:")):
            findings.near("station.mu", f"{station}: mu", row[names.SERVICE_RATE] or 0.0,
                          ratio(done[station], worked * 1e-9) or 0.0, 1e-9)


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
        servers = sum(layout.server_counts(run).values()) if row["station"] == names.SYSTEM else \
            layout.delays(run)[row["station"].split(":", 1)[1]]
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


def check(run, findings):
    check_stations(run, findings)
    check_theory(run, findings)
