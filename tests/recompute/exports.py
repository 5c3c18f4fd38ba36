# SPDX-License-Identifier: MIT
"""What `tandem report --format` writes, against the database and the request rows."""

import csv
import io
import json
import re

import layout
import names
from latencies import percentile

FORMATS = ("text", "csv", "json", "prometheus", "vllm", "markdown")
HISTOGRAMS = {"vllm:time_to_first_token_seconds": "ttft_s", "vllm:request_time_per_output_token_seconds": "tpot_s",
              "vllm:e2e_request_latency_seconds": "e2e_s", "vllm:request_queue_time_seconds": "queue_s",
              "vllm:inter_token_latency_seconds": "itl_s"}
VLLM_LATENCIES = {"ttft": "ttft_s", "tpot": "tpot_s", "itl": "itl_s", "e2el": "e2e_s"}


def number(text):
    return None if text in ("", None) else float(text)


def check_csv(run, findings, text):
    rows = list(csv.DictReader(io.StringIO(text)))
    check_rows(run, findings, "csv", rows)


def check_json(run, findings, text):
    rows = json.loads(text)
    check_rows(run, findings, "json", rows)


def check_rows(run, findings, what, rows):
    """Rows of CSV and JSON are the metric table."""
    found = {(r["name"], r["scope"], r["statistic"]): r for r in rows}
    findings.equal(what + ".rows", f"{what}: rows", len(rows), len(run.metrics))
    for key, right in run.metrics.items():
        row = found.get(key)
        if findings.true(what + ".rows", row is not None, f"{what} has no row {key}"):
            for column in ("value", "ci_low", "ci_high"):
                findings.near(what + ".value", f"{what}: {key} {column}", number(row[column]), right[column],
                              names.FIFTEEN_DIGITS)
            findings.equal(what + ".unit", f"{what}: {key} unit", row["unit"], right["unit"])


def check_text(run, findings, text):
    """Lines of NAME [SCOPE] STATISTIC VALUE [UNIT], in the order of the metric table."""
    lines = [l.split() for l in text.splitlines() if l.strip()]
    metrics = sorted(run.metrics)
    shown = [l for l in lines if l[0] in {k[0] for k in metrics}]
    findings.equal("text.rows", "text: lines", len(shown), len(metrics))
    scopes = {k[1] for k in metrics}
    told = len(scopes) == 1 or any(s in l for l in lines for s in scopes - {"run"})
    findings.true("text.scope", told, "text: lines of bands, classes and windows do not say so; they look like the run's own")
    for words, key in zip(shown, metrics):
        value = next((w for w in words[2:] if re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?|–|-|inf|-inf", w)), None)
        right = run.metrics[key]["value"]
        if right is None:
            findings.true("text.absent", value in (None, "–", "-"), f"text: {key} is printed as {value} and is absent")
        elif findings.true("text.value", value not in (None, "–", "-"), f"text: {key} has no value, the database {right!r}"):
            findings.near("text.value", f"text: {key}", float(value), right, names.SIX_DIGITS, 1e-12)


def parse_prometheus(text):
    samples = {}
    for line in text.splitlines():
        match = re.match(r'^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)$', line)
        if match and not line.startswith("#"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            samples.setdefault(match[1], []).append((labels, float(match[3])))
    return samples


def check_prometheus(run, findings, text):
    samples = parse_prometheus(text)
    for metric, latency in HISTOGRAMS.items():
        if findings.true("prometheus.absent", metric + "_count" in samples, f"prometheus has no {metric}"):
            check_prometheus_histogram(run, findings, samples, metric, latency)
    totals = {"vllm:prompt_tokens_total": sum(r.prompt for r in run.requests),
              "vllm:generation_tokens_total": sum(r.output for r in run.requests),
              "vllm:request_success_total": len(run.requests)}
    if not run.unserved:
        totals["vllm:num_preemptions_total"] = sum(r.preemptions for r in run.requests)
    for metric, right in totals.items():
        findings.equal("prometheus.total", metric, sum(v for labels, v in samples.get(metric, [({}, None)])
                                                              if labels.get("finished_reason", "stop") == "stop"), float(right))
    check_gauges(run, findings, samples)


def check_gauges(run, findings, samples):
    system = run.stations.get(names.SYSTEM, {})
    for metric, right in (("vllm:num_requests_waiting", system.get(names.LQ)),
                          ("vllm:num_requests_running", (system.get(names.L) or 0) - (system.get(names.LQ) or 0)),
                          ("vllm:kv_cache_usage_perc", run.value("kv_use_mean"))):
        if metric in samples and right is not None:
            findings.near("prometheus.gauge", metric, samples[metric][0][1], right, 1e-9, 1e-12)


def check_prometheus_histogram(run, findings, samples, metric, latency):
    count, total = samples[metric + "_count"][0][1], samples[metric + "_sum"][0][1]
    if latency == "itl_s":
        if run.unserved or layout.failures(run):
            return
        values, right = None, sum(r.served - r.arrival - r.ttft for r in run.requests)
        number_of = sum(r.output - 1 for r in run.batched)
    else:
        values = sorted(v for v in (r.latency(latency) for r in run.requests) if v is not None)
        number_of, right = len(values), sum(values)
    if latency == "tpot_s" and count != number_of:
        findings.equal("prometheus.count", metric + "_count", count, float(number_of))
    elif findings.equal("prometheus.count", metric + "_count", count, float(number_of)):
        # A row's times end within a nanosecond of the run's own.
        findings.near("prometheus.sum", metric + "_sum against the rows", total, right * 1e-9, names.DOUBLE,
                      names.NANOSECOND * max(len(run.requests), 1))
    if values is None or count != number_of:
        return
    for labels, found in samples[metric + "_bucket"]:
        edge = float(labels["le"].replace("+Inf", "inf")) * 1e9
        low = sum(v <= edge * (1 - names.HISTOGRAM) for v in values)
        high = sum(v <= edge * (1 + names.HISTOGRAM) for v in values)
        findings.between("prometheus.bucket", f"{metric} up to {labels['le']}", found, low, high)


def check_vllm(run, findings, text):
    found = json.loads(text)
    tokens_in, tokens_out = sum(r.prompt for r in run.requests), sum(r.output for r in run.requests)
    right = {"completed": len(run.requests), "total_input_tokens": tokens_in, "total_output_tokens": tokens_out}
    for key, value in right.items():
        findings.equal("vllm.total", f"vllm: {key}", found.get(key), value)
    findings.equal("vllm.counts", "vllm: num_prompts", found.get("num_prompts"), run.row[names.ARRIVED])
    findings.equal("vllm.counts", "vllm: failed", found.get("failed"), run.unserved)
    if not run.length:
        return
    for key, value in (("duration", run.seconds), ("request_throughput", len(run.requests) / run.seconds),
                       ("output_throughput", tokens_out / run.seconds),
                       ("total_token_throughput", (tokens_in + tokens_out) / run.seconds)):
        if key in found:
            findings.near("vllm.rate", f"vllm: {key}", found[key], value, 1e-9, 1e-12)
    for short, latency in VLLM_LATENCIES.items():
        if latency != "itl_s":
            check_vllm_latency(run, findings, found, short, latency)


def check_vllm_latency(run, findings, found, short, latency):
    """vLLM's readers expect all requests, the warm-up too."""
    values = sorted(v for v in (r.latency(latency) for r in run.requests) if v is not None)
    if not values:
        findings.true("vllm.empty", not found.get(f"mean_{short}_ms"), f"vllm: mean_{short}_ms of no requests")
        return
    kind = "vllm.all" if int(run.value(latency, "run", "count") or 0) != len(values) else "vllm.latency"
    findings.near(kind, f"vllm: mean_{short}_ms", found.get(f"mean_{short}_ms"), sum(values) / len(values) * 1e-6, 1e-9, 1e-6)
    for statistic, share in list(names.PERCENTILES.items()) + [("median", 0.5)]:
        key = f"median_{short}_ms" if statistic == "median" else f"{statistic}_{short}_ms"
        if key in found:
            findings.near(kind, f"vllm: {key}", found[key], percentile(values, share) * 1e-6, names.HISTOGRAM, 1e-6)


def check_markdown(run, findings, text):
    labels = {"queue": "queue_s", "TTFT": "ttft_s", "TPOT": "tpot_s", "ITL": "itl_s", "E2E": "e2e_s",
              "E2E per token": "normalized_s"}
    columns = None
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if cells[0] == "seconds":
            columns = cells[1:]
        elif columns and cells[0] in labels and len(cells) == len(columns) + 1:
            for column, cell in zip(columns, cells[1:]):
                check_cell(findings, f"markdown: {cells[0]} {column}", cell, run.value(labels[cells[0]], "run", column))
        elif len(cells) == 2 and run.has(cells[0]):
            check_cell(findings, f"markdown: {cells[0]}", cells[1], run.value(cells[0]))


def check_cell(findings, what, cell, right):
    if right is None:
        findings.true("markdown.absent", cell in ("–", "-", ""), f"{what} is printed as {cell!r} and is absent")
    elif findings.true("markdown.value", cell not in ("–", "-", ""), f"{what} is empty, the database has {right!r}"):
        findings.near("markdown.value", what, float(cell), right, names.FOUR_DIGITS, 1e-12)


def check_views(run, findings):
    for column, key in (("ttft_p50_s", ("ttft_s", "p50")), ("ttft_p99_s", ("ttft_s", "p99")), ("tpot_p50_s", ("tpot_s", "p50")),
                        ("tpot_p99_s", ("tpot_s", "p99")), ("goodput_per_s", ("goodput_per_s", "value"))):
        findings.equal("view.run_summary", f"v_run_summary.{column}", run.summary_view[column], run.value(key[0], "run", key[1]))
    findings.equal("view.slo", "v_slo.attainment", run.slo_view["attainment"], run.value("slo_attainment"))


def check(run, findings, texts):
    """TEXTS: {format: what was written}."""
    checks = {"text": check_text, "csv": check_csv, "json": check_json, "prometheus": check_prometheus, "vllm": check_vllm,
              "markdown": check_markdown}
    check_views(run, findings)
    for name, text in texts.items():
        checks[name](run, findings, text)
