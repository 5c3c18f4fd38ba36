# SPDX-License-Identifier: MIT
"""Recomputes the SLO from request rows: who met it, attainment, goodput, windows, classes, the verdict, the margin.

An unserved request (rejected, lost, given up, unfinished) is infinitely late: it misses every limit, and it counts in
every percentile."""

import math
from collections import namedtuple
from fractions import Fraction

import names
import warmup
from findings import ratio

METRICS = names.LATENCIES
LATE = math.inf
Members = namedtuple("Members", "served unserved")  # rows; requests of the workload that have none


def limits_of(rule):
    """{(metric, statistic): limit in nanoseconds} of an SLO or a class."""
    return {(m, s): v * 1e9 for m in METRICS for s, v in (rule.get(m) or {}).items()}


def per_request(rule):
    """{metric: limit} that each request must keep: of the limits on one metric the loosest. Gaps between tokens have none."""
    loosest = {}
    for (metric, _), limit in limits_of(rule).items():
        if metric != "itl_s":
            loosest[metric] = max(limit, loosest.get(metric, 0))
    return loosest


def belongs(rule, prompt, output, priority, client):
    for key, value in (("prompt_tokens", prompt), ("output_tokens", output), ("priority", priority), ("client", client)):
        if key in rule:
            low, high = rule[key] if isinstance(rule[key], list) else (rule[key], rule[key])
            if value is None or not low <= value <= high:
                return False
    return True


def members(run, rule):
    """Requests of a class; None where rows do not say who belongs to it."""
    if run.offered is None:
        if run.unserved or "priority" in rule or "client" in rule:
            return None
        return Members([r for r in warmup.rows(run) if belongs(rule, r.prompt, r.output, None, None)], [])
    inside = {o.id for o in run.offered if belongs(rule, o.prompt, o.output, o.priority, o.client)}
    return Members([r for r in warmup.rows(run) if r.id in inside],
                   unserved(run, [o for o in run.offered if o.id in inside]))


def unserved(run, offered):
    """Of requests that arrive after the warm-up, those without a row."""
    return [o for o in offered if o.id not in run.by_id and o.arrival >= warmup.instant(run)]


def everybody(run):
    """All requests that count; those without a row are None where the workload's trace is not at hand."""
    if run.offered is not None:
        return Members(warmup.rows(run), unserved(run, run.offered))
    served = warmup.rows(run)
    late = run.row[names.ARRIVED] - round(run.later("warmup") or 0) - len(served)  # of those that the cut leaves
    return Members(served, [None] * late)


def keeps(request, limits):
    return all((request.latency(metric) or 0) <= limit for metric, limit in limits.items())


def keepers(run, only=None):
    """Numbers of the requests that keep every per-request limit: those of each class that they belong to (of the class ONLY,
    if it is named), and everybody's on other metrics. None where rows do not say who belongs to a class."""
    rule = run.at("slo", default={})
    common, kept, own = per_request(rule), set(), {}
    for name, part in (rule.get("classes") or {}).items():
        inside = members(run, part)
        if inside is None:
            return None
        if only in (None, name):
            for r in inside.served:
                own.setdefault(r.id, []).append(per_request(part))
    for r in warmup.rows(run):
        if all(keeps(r, {**common, **limits}) for limits in own.get(r.id, [{}])):
            kept.add(r.id)
    return kept


def statistic_of(served, unserved, metric, statistic):
    """(value in nanoseconds, resolution): the value of a statistic in which unserved requests are infinitely late."""
    values = sorted(v for v in (r.latency(metric) for r in served) if v is not None)
    if unserved:
        values += [LATE] * unserved
    if not values:
        return None, 0
    if statistic == "mean":
        return (LATE if unserved else sum(values) / len(values)), 1.0
    if statistic in ("max", "min"):
        return values[-1 if statistic == "max" else 0], 1.0
    share = Fraction(names.PERCENTILES[statistic]).limit_denominator(1000)
    value = values[math.ceil(share * len(values)) - 1]
    return value, (1.0 if value == LATE else max(1.0, names.HISTOGRAM * value))


def late_margin(served, unserved, metric, statistic):
    """Of a statistic that unserved requests make infinite: log(allowed misses / unserved), below 0 in any case."""
    total = sum(r.latency(metric) is not None for r in served) + unserved
    allowed = 0 if statistic == "mean" else 1 - names.PERCENTILES.get(statistic, 1)
    return min(math.log(max(allowed * total, names.HALF_A_REQUEST) / max(unserved, names.HALF_A_REQUEST)), -1e-9)


def judge_limit(value, resolution, limit, late_margin=-math.inf):
    """(met, sure, margin) of a limit; not sure where the value is as near to the limit as its resolution."""
    if value is None:
        return None, True, math.inf
    if value == LATE:
        return False, True, late_margin
    return value <= limit, abs(value - limit) > resolution, math.log(limit / value) if value > 0 else math.inf


def share_margin(kept, total, asked):
    """log(allowed misses / misses)."""
    allowed, missed = max((1 - asked) * total, names.HALF_A_REQUEST), max(total - kept, names.HALF_A_REQUEST)
    return math.log(allowed / missed)


def judges_windows(rule):
    """Whether windows are asked, and there is something to judge them by."""
    return "windows" in rule and ("attainment" in rule or any(m in rule for m in METRICS if m != "itl_s"))


def judge_windows(run, kept):
    """{start: (all requests, those that keep their limits, window kept, sure)} of windows in which requests arrived. Whether a
    window is kept is None where no limit has a value."""
    rule = run.at("slo", "windows")
    length = round(rule["length_s"] * 1e9)
    people = everybody(run)
    if None in people.unserved:
        return None
    windows = {}
    for r in people.served:
        windows.setdefault(r.arrival // length, ([], []))[0].append(r)
    for o in people.unserved:
        windows.setdefault(o.arrival // length, ([], []))[1].append(o)
    return {start * length: judge_window(run, kept, *inside) for start, inside in sorted(windows.items())}


def judge_window(run, kept, served, unserved):
    total = len(served) + len(unserved)
    good = sum(r.id in kept for r in served)
    answers, sure = [], True
    for (metric, statistic), limit in limits_of(run.at("slo", default={})).items():
        if metric != "itl_s":
            ok, certain, _ = judge_limit(*statistic_of(served, len(unserved), metric, statistic), limit)
            answers.append(ok)
            sure = sure and (certain or statistic != "mean")
    asked = run.at("slo", "attainment")
    if asked is not None:
        answers.append(good >= asked * total - 1e-9)
    judged = [a for a in answers if a is not None]
    return total, good, all(judged) if judged else None, sure


def judge_gaps(run, statistic, limit, people):
    """Gaps between tokens are judged by their metric, which has a check of its own; where requests are not served, by gaps
    that rows do not tell of."""
    if people.unserved:
        return False, False, None
    value = run.value("itl_s", "run", statistic)
    return judge_limit(None if value is None else value * 1e9, 1.0, limit)


def judge_group(run, rule, people, scope, verdict):
    """Lines of limits on PEOPLE's latencies."""
    for (metric, statistic), limit in limits_of(rule).items():
        if metric == "itl_s":
            answer = judge_gaps(run, statistic, limit, people)
        else:
            unserved = len(people.unserved)
            answer = judge_limit(*statistic_of(people.served, unserved, metric, statistic), limit,
                                 late_margin(people.served, unserved, metric, statistic)
                                 if unserved and None not in people.unserved else None)
        verdict[(metric, statistic, scope)] = answer


def judge(run):
    """What each line of the verdict must say: {key: (met, sure, margin)}; None where rows do not tell."""
    rule = run.at("slo", default={})
    kept, verdict = keepers(run), {}
    if kept is None:
        return None
    people = everybody(run)
    judge_group(run, rule, people, "run", verdict)
    groups = {"run": (rule, people)}
    for name, own in (rule.get("classes") or {}).items():
        groups["class:" + name] = own, members(run, own)
        judge_group(run, own, groups["class:" + name][1], "class:" + name, verdict)
    for scope, (own, inside) in groups.items():
        if "attainment" in own:
            total = len(inside.served) + len(inside.unserved)
            keeping = kept if scope == "run" else keepers(run, scope[len("class:"):])
            good = sum(r.id in keeping for r in inside.served)
            verdict[("attainment", scope)] = (None if total == 0 else good >= own["attainment"] * total - 1e-9, True,
                                              share_margin(good, total, own["attainment"]))
    if "goodput_per_s" in rule:
        value, asked = ratio(len(kept), warmup.seconds(run)) or 0.0, rule["goodput_per_s"]
        verdict[("goodput",)] = (value >= asked, abs(value - asked) > 1e-9 * asked,
                                 math.log(value / asked) if value > 0 else -math.inf)
    if judges_windows(rule):
        windows = judge_windows(run, kept)
        if windows is None:
            return None
        judged = [w for w in windows.values() if w[2] is not None]
        verdict[("windows",)] = (sum(w[2] for w in judged) >= rule["windows"].get("share", 1) * len(judged) - 1e-9 if judged
                                 else None, all(w[3] for w in judged), None)
    return verdict
