# SPDX-License-Identifier: MIT
"""The printed summary and the exit status of a run, against the database and the recomputed SLO."""

import re

import names
import slo
import warmup

UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
LABELS = {"queue": "queue_s", "TTFT": "ttft_s", "TPOT": "tpot_s", "ITL": "itl_s", "E2E": "e2e_s", "E2E/token": "normalized_s"}
COLUMNS = ("mean", "p50", "p90", "p99", "p99.9", "max")
DURATION = re.compile(r"(-?[0-9.]+|–|-) ?(ns|µs|us|ms|s|min|h)?(?= |$)")
LIMIT = re.compile(r"^ +(ok|miss|–|-)? *(\w+_s) +(mean|max|p[0-9.]+) +(\S+)(?: (\S+))? +\(limit (\S+) s(?:, class ([^)]*))?\)")
SHARE = re.compile(r"^ +(ok|miss|–|-)? *([0-9.]+) % of requests(?: of class (.+))? met every limit(?: +\(asked: (\S+) %\))?")
GOODPUT = re.compile(r"^ +(ok|miss) *goodput ([0-9.e+-]+) requests/s +\(asked: (\S+)\)")
WINDOWS = re.compile(r"^ +(ok|miss) *([0-9]+) of ([0-9]+) windows of (\S+) s kept everything")


def printed(text):
    """The half unit of the last printed digit of a number."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.5001 * 10.0 ** (int(exponent or 0) - digits)


def near(findings, kind, what, text, right, scale=1.0):
    if right is None:
        findings.true(kind, text in ("–", "-"), f"{what}: printed {text!r} for an absent value")
        return
    if text in ("–", "-"):
        findings.say(kind, f"{what}: printed {text!r} for {right!r}")
        return
    findings.near(kind, what + " (printed)", float(text) * scale, right, 0, printed(text) * scale)


def check_counts(run, findings, text):
    line = next((l for l in text.splitlines() if l.startswith("  requests")), "")
    found = {word: int(n) for n, word in re.findall(r"(\d+) (arrived|finished|rejected|lost|unfinished)", line)}
    right = {"arrived": run.row[names.ARRIVED], "finished": run.row[names.FINISHED], "rejected": run.row[names.REJECTED],
             "unfinished": run.row[names.UNFINISHED]}
    for word, value in right.items():
        findings.equal("summary.counts", f"printed {word}", found.get(word), value)
    findings.equal("summary.lost", "printed lost", found.get("lost", 0), run.lost)


def check_rates(run, findings, text):
    match = re.search(r"throughput (\S+) requests/s, (\S+) input \+ (\S+) output tokens/s, goodput (\S+) requests/s", text)
    if findings.true("summary.throughput", match, "the summary has no line of throughput"):
        for found, name in zip(match.groups(), ("requests_per_s", "input_tokens_per_s", "output_tokens_per_s", "goodput_per_s")):
            near(findings, "summary.throughput", name, found, run.value(name))


def check_latencies(run, findings, text):
    for line in text.splitlines():
        label = line[2:13].strip()
        if line.startswith("  ") and label in LABELS and not line.startswith("   "):
            cells = DURATION.findall(line[13:])
            for column, (number, unit) in zip(COLUMNS, cells):
                if number == "-":
                    number = "–"
                near(findings, "summary.latency", f"{label} {column}", number, run.value(LABELS[label], "run", column),
                     UNITS.get(unit, 1.0))


def check_shares(run, findings, text):
    line = next((l for l in text.splitlines() if l.startswith("  where the time went")), "")
    shown = {p: float(v) for p, v in re.findall(r"(\w+) ([0-9.]+) %", line)}
    for part, value in shown.items():
        right = run.value("time_share_" + part)
        findings.near("summary.parts", f"share of {part}", value / 100, right, 0, 0.000501)
    for part in names.PARTS:
        value = run.value("time_share_" + part)
        findings.true("summary.parts", part in shown or not value or value < 0.0006, f"share of {part} ({value!r}) is not shown")


def check_replicas(run, findings, text):
    for pattern, name, scale in ((r"busy ([0-9.]+) %", "utilization", 0.01), (r"padding waste ([0-9.]+) %", "padding_waste", 0.01),
                                 (r"KV use ([0-9.]+) %", "kv_use_mean", 0.01), (r"\(peak ([0-9.]+) %\)", "kv_use_peak", 0.01),
                                 (r"batch ([0-9.]+) sequences", "batch_sequences", 1), (r"(\d+) preemptions", "preemptions", 1)):
        match = re.search(pattern, text)
        if match and run.value(name) is not None:
            near(findings, "summary.replicas", name, match[1], run.value(name), scale)


def check_queueing(run, findings, text):
    match = re.search(r"λ ([0-9.]+)/s, .*?L ([0-9.]+), Lq ([0-9.]+), W ([0-9.]+) s, Wq ([0-9.]+) s", text)
    station = run.stations.get(names.SYSTEM)
    if match and station:
        for found, column in zip(match.groups(), (names.RATE, names.L, names.LQ, names.W, names.WQ)):
            near(findings, "summary.queueing", column, found, station[column])


def check_warmup(run, findings, text):
    match = re.search(r"warm-up +(?:(\d+) requests|nothing)", text)
    if findings.true("summary.warmup", match, "the summary does not say what was cut as warm-up") and warmup.is_told(run):
        findings.equal("warmup.stated", "printed requests cut as warm-up", int(match[1] or 0), int(run.later("warmup") or 0))


def verdict_lines(text):
    """{key: (mark, number)} of the lines of the verdict, with the keys of slo.judge."""
    lines = {}
    for line in text.splitlines():
        if m := LIMIT.match(line):
            lines[(m[2], m[3], "class:" + m[7] if m[7] else "run")] = m[1], m[4], float(m[6])
        elif m := SHARE.match(line):
            lines[("attainment", "class:" + m[3] if m[3] else "run")] = m[1], m[2], m[4]
        elif m := GOODPUT.match(line):
            lines[("goodput",)] = m[1], m[2], m[3]
        elif m := WINDOWS.match(line):
            lines[("windows",)] = m[1], m[2], m[3]
    return lines


def kind_of(run, key, met):
    """Unserved requests decide percentiles and windows, and nothing decides what has no values, only by the sharpened
    definitions."""
    if met is None:
        return "empty.verdict"
    if run.unserved and (len(key) == 3 or key[0] == "windows"):
        return "unserved.verdict"
    return "verdict." + ("limit" if len(key) == 3 else key[0])


def check_verdict(run, findings, text):
    right = slo.judge(run)
    if right is None or not warmup.is_told(run):
        return
    found = verdict_lines(text) if text is not None else {}
    if text is not None:
        for key, (met, sure, _) in right.items():
            line = found.get(key)
            if findings.true("verdict.absent", line or met is None, f"the verdict has no line for {key}") and line and sure:
                mark = None if line[0] in ("–", "-") else line[0] == "ok"
                findings.equal(kind_of(run, key, met), f"verdict of {key}", mark, met)
    answer, sure = whole_verdict(run, right)
    if not right:
        findings.true("verdict.no_slo", run.row["slo_met"] != 0, "run.slo_met is 0, and the scenario has no SLO")
    if answer is None or "windows" in run.at("slo") and ("windows",) not in right:
        return
    empty = any(met is None for met, _, _ in right.values())
    unserved = run.unserved and any(met is False and len(key) != 2 for key, (met, _, _) in right.items())
    kind = "unserved.verdict" if unserved else "empty.verdict" if empty else "verdict.whole"
    if sure:
        findings.equal(kind, "run.slo_met", run.row["slo_met"], int(answer))
        findings.equal(kind, "v_run_summary.slo_met", run.summary_view["slo_met"], int(answer))
    margin = run.value("slo_margin")
    if margin is not None and sure:
        findings.true(kind, margin >= 0 if answer else margin <= 0 or run.unserved or empty,
                      f"slo_margin {margin!r}, the SLO is {'met' if answer else 'not met'}")
    check_margin(run, findings, right, answer)
    if text is not None:
        said = re.search(r"SLO (NOT )?(MET|JUDGED)", text)
        if findings.true("verdict.said", said, "the summary has no verdict"):
            findings.equal("verdict.said", "the summary's verdict", int(not said[1]), run.row["slo_met"])


def whole_verdict(run, right):
    """(met, sure) of the whole; None without an SLO. A run that is overloaded never meets it, nor one that
    has no value for a target."""
    if not right:
        return None, False
    misses = [sure for met, sure, _ in right.values() if met is not True]
    if run.value("overloaded"):
        return None, False
    return (False, any(misses)) if misses else (True, all(sure for _, sure, _ in right.values()))


def check_margin(run, findings, right, answer):
    """The least of log(limit / value) and log(allowed misses / misses), where no windows are asked."""
    margin = run.value("slo_margin")
    if margin is None or ("windows",) in right or run.value("overloaded"):
        return
    margins = [m for met, _, m in right.values() if met is not None and m is not None]
    absent = [key for key, (_, _, m) in right.items() if m is None]
    if margins and not absent:
        kind = "unserved.margin" if run.unserved else "verdict.margin"
        findings.near(kind, "slo_margin", margin, max(min(margins), names.MARGIN_FLOOR), 1e-6, names.HISTOGRAM + 1e-9)


def check_status(run, findings, status, check_slo):
    right = 3 if check_slo and run.at("slo") and run.row["slo_met"] == 0 else 0
    findings.equal("status", "exit status", status, right)


def check_overload(run, findings, text):
    closed = run.named("workload", "arrivals") == "closed_loop"
    overloaded = run.value("overloaded")
    findings.true("overload.closed_loop", not (closed and overloaded), "a closed loop is called overloaded")
    if overloaded and text is not None:
        first = text.splitlines()[0].lower() if text.strip() else ""
        findings.true("overload.first", first.startswith("overloaded"), f"an overloaded run's summary begins: {first[:60]!r}")


def check(run, findings, text=None, status=None, check_slo=False):
    check_verdict(run, findings, text)
    check_overload(run, findings, text)
    if status is not None:
        check_status(run, findings, status, check_slo)
    if text is None:
        return
    for part in (check_counts, check_rates, check_latencies, check_shares, check_replicas, check_queueing, check_warmup):
        part(run, findings, text)
