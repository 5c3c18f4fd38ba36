# SPDX-License-Identifier: MIT
"""Reads a kept run, and the requests that its workload offers, into plain objects. Times are whole nanoseconds."""

import json
import sqlite3

import names


def ns(seconds):
    return None if seconds is None else round(seconds * 1e9)


class Request:
    """A finished request: a row of table `request`."""

    def __init__(self, row):
        self.id, self.replica = row["id"], row["replica"]
        self.early = self.replica < 0  # a cache has answered it
        self.arrival, self.queue, self.ttft = ns(row["arrival_s"]), ns(row["queue_s"]), ns(row["ttft_s"])
        self.tpot, self.e2e, self.normalized = ns(row["tpot_s"]), ns(row["e2e_s"]), ns(row["normalized_s"])
        self.prompt, self.output = row["prompt_tokens"], row["output_tokens"]
        self.preemptions, self.recomputed, self.cached = row["preemptions"], row["recomputed_tokens"], row["cached_tokens"]
        self.parts = {}
        self.end = self.arrival + self.e2e

    def latency(self, name):
        """Of NAME in nanoseconds; None where it is not defined. Gaps between tokens are no property of a request."""
        return {"queue_s": self.queue, "ttft_s": self.ttft, "tpot_s": self.tpot, "e2e_s": self.e2e,
                "normalized_s": self.normalized}[name]


class Offered:
    """A request of the workload, served or not: a line of a trace."""

    def __init__(self, number, line):
        self.id, self.arrival = number, ns(line["arrival_s"])
        self.prompt, self.output = line["prompt_tokens"], line["output_tokens"]
        self.limit = line.get("max_output_tokens", self.output)
        self.priority, self.client = line.get("priority", 0), line.get("client", 0)
        self.group = line.get("prefix_group", 0)
        self.same = (self.group, self.prompt) if self.group and line["prefix_tokens"] == self.prompt else number


class Iteration:
    __slots__ = ("replica", "start", "end", "decodes", "kv_tokens", "prompt_tokens", "padded", "prompts")

    def __init__(self, row):
        self.replica, self.start, self.end, self.decodes = row[0], row[1], row[2], row[3]
        self.kv_tokens, self.prompt_tokens, self.padded = row[4], row[5], row[6]
        self.prompts = json.loads(row[7]) if row[7] != "[]" else ()


class Run:
    def __init__(self, path, number=None):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        db.row_factory = sqlite3.Row
        self.number = number or db.execute("SELECT max(id) FROM run").fetchone()[0]
        rows = lambda text: db.execute(text, (self.number,)).fetchall()
        self.row = dict(rows("SELECT * FROM run WHERE id = ?")[0])
        self.scenario = json.loads(self.row["scenario"])
        self.metrics = {(r["name"], r["scope"], r["statistic"]): r for r in rows("SELECT * FROM metric WHERE run_id = ?")}
        self.stations = {r["station"]: dict(r) for r in rows("SELECT * FROM station WHERE run_id = ?")}
        self.theory = [dict(r) for r in rows("SELECT * FROM theory WHERE run_id = ?")]
        self.cells = [dict(r) for r in rows("SELECT * FROM batch_cell WHERE run_id = ?")]
        self.histograms = rows("SELECT name, scope, value_s, count FROM histogram WHERE run_id = ? ORDER BY value_s")
        self.summary_view = dict(rows("SELECT * FROM v_run_summary WHERE id = ?")[0])
        self.slo_view = dict(rows("SELECT * FROM v_slo WHERE run_id = ?")[0])
        self.iterations = [Iteration(r) for r in rows(
            "SELECT replica, start_ns, end_ns, decodes, decode_kv_tokens, prompt_tokens, padded_tokens, prompts "
            "FROM iteration WHERE run_id = ? ORDER BY replica, start_ns, number")]
        self.series = {}
        for r in rows("SELECT name, at_s, value FROM timeseries WHERE run_id = ? ORDER BY at_s"):
            self.series.setdefault(r["name"], []).append((ns(r["at_s"]), r["value"]))
        self._read_requests(rows)
        self.length = ns(self.row["simulated_s"])
        self.seconds = self.length * 1e-9
        self.offered = None
        db.close()

    def _read_requests(self, rows):
        kept = rows("SELECT * FROM request WHERE run_id = ? ORDER BY id")
        outcome = next((c for c in names.OUTCOME if kept and c in kept[0].keys()), None)
        served = [r for r in kept if r["e2e_s"] is not None and (not outcome or r[outcome] == names.FINISHED_WORD)]
        self.requests = [Request(r) for r in served]
        by_id = {r.id: r for r in self.requests}
        for r in rows("SELECT request_id, part, ns FROM time_parts WHERE run_id = ?"):
            if r["request_id"] in by_id:
                by_id[r["request_id"]].parts[r["part"]] = r["ns"]
        for r in self.requests:
            r.queued, r.served = r.arrival + r.parts.get("delay", 0), r.end - r.parts.get("after", 0)
        self.by_id = by_id
        self.batched = [r for r in self.requests if not r.early]
        self.by_end = sorted(self.requests, key=lambda r: (r.end, r.id))

    def value(self, name, scope="run", statistic="value"):
        row = self.metrics.get((name, scope, statistic))
        return None if row is None else row["value"]

    def has(self, name, scope="run", statistic="value"):
        return (name, scope, statistic) in self.metrics

    def later(self, key):
        """A metric that the program may not have yet; None while it does not."""
        return next((self.value(n) for n in names.LATER[key] if self.has(n)), None)

    @property
    def lost(self):
        return self.row[names.LOST] if names.LOST in self.row else int(self.value(names.LOST_METRIC) or 0)

    @property
    def unserved(self):
        return self.row[names.REJECTED] + self.lost + self.row[names.UNFINISHED]

    def offer(self, lines):
        """LINES of a trace in Tandem's own format, in order of arrival."""
        self.offered = [Offered(i, json.loads(line)) for i, line in enumerate(l for l in lines if l.strip())]
        first = min((o.arrival for o in self.offered), default=0)
        for o in self.offered:
            o.arrival -= first  # a run begins with its first arrival

    def at(self, *path, default=None):
        """A value of the scenario; a name may stand for an object with that name."""
        place = self.scenario
        for key in path:
            if not isinstance(place, dict) or key not in place:
                return default
            place = place[key]
        return place

    def named(self, *path, default=None):
        place = self.at(*path, default=default)
        return place.get("name", place.get("policy", default)) if isinstance(place, dict) else place
