#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recomputes every printed number of a kept run from its rows, and names each that differs.

usage: recompute.py DB [RUN] [--tandem PROGRAM] [--trace FILE] [--summary FILE] [--status N --check-slo]

RUN is the last one unless it is named. With PROGRAM the exports are written and checked, too, and the workload is asked of
it; FILE has the requests that arrive, as `tandem trace generate` writes them, and what the run printed. Exit status 1 says
that something differs."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import exports
import flows
import iterations
import latencies
import series
import stations
import summary
from findings import Findings, standing
from kept import Run


def stated_line(run, folder):
    """The device's file, where it states costs as a line."""
    device = run.at("device")
    path = os.path.join(folder, device) if isinstance(device, str) and device.endswith(".json") else None
    if not path or not os.path.exists(path) or run.at("techniques") or run.at("engine") or run.at("policy", "predictor"):
        return None
    with open(path) as file:
        line = json.load(file)
    return line if line.get("kind") == "linear" and run.named("policy", "preemption", default="recompute") != "swap" else None


def check(run, text=None, status=None, check_slo=False, texts=(), folder="."):
    """All differences of a run, as Findings."""
    findings = Findings()
    gaps = iterations.check(run, findings, stated_line(run, folder))
    latencies.check(run, findings, gaps)
    flows.check(run, findings)
    stations.check(run, findings)
    series.check(run, findings, gaps)
    summary.check(run, findings, text, status, check_slo)
    exports.check(run, findings, dict(texts))
    return findings


def report(program, database, number, form):
    return subprocess.run([program, "report", str(number), "--db", database, "--format", form], capture_output=True, text=True,
                          check=True).stdout


def workload(program, run):
    """Lines of the requests that the run's scenario offers; None where arrivals depend on the run itself."""
    if run.named("workload", "arrivals") == "closed_loop":
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(run.scenario, file)
        file.flush()
        done = subprocess.run([program, "trace", "generate", file.name], capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else None


def read(path):
    with open(path) as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("db")
    parser.add_argument("run", nargs="?", type=int)
    parser.add_argument("--tandem")
    parser.add_argument("--trace")
    parser.add_argument("--summary")
    parser.add_argument("--status", type=int)
    parser.add_argument("--check-slo", action="store_true")
    args = parser.parse_args()
    run = Run(args.db, args.run)
    lines = read(args.trace).splitlines() if args.trace else workload(args.tandem, run) if args.tandem else None
    if lines is not None:
        run.offer(lines)
    texts = {f: report(args.tandem, args.db, run.number, f) for f in exports.FORMATS} if args.tandem else {}
    findings = check(run, args.summary and read(args.summary), args.status, args.check_slo, texts)
    for kind, sentence in findings.found:
        print(f"{kind} ({standing(kind)}): {sentence}")
    print(f"run {run.number}: {findings.checked} numbers checked, {len(findings.found)} differences")
    return 1 if findings.found else 0


if __name__ == "__main__":
    sys.exit(main())
