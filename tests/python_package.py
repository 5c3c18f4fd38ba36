# SPDX-License-Identifier: MIT
"""The Python package: it finds what the program finds, and says what is wrong in the program's sentence."""

import itertools
import json
import math
import os
import sqlite3
import subprocess
import tempfile
import unittest

import tandem

PROGRAM = os.environ["TANDEM_PROGRAM"]
FEW = {"workload.requests": 300}


class Package(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = lambda name: os.path.join(self.folder.name, name)

    def test_a_run_finds_what_the_program_finds(self):
        result = tandem.run("default", FEW)
        subprocess.run([PROGRAM, "run", "default", "--quiet", "--db", self.path("p.db"), "--set", "workload.requests=300",
                        "--set", "output.requests=true"], check=True)
        db = sqlite3.connect(self.path("p.db"))
        count = 0
        for name, statistic, value in db.execute("SELECT name, statistic, value FROM metric WHERE scope = 'run'"):
            found = result.summary.get(name)
            if statistic == "value" and not isinstance(found, dict) and found is not None and value is not None and name != "wall_s":
                self.assertAlmostEqual(found, value, delta=1e-9 * max(1, abs(value)), msg=name)
                count += 1
            elif isinstance(found, dict) and statistic in found:
                self.assertAlmostEqual(found[statistic], value, delta=1e-9, msg=f"{name} {statistic}")
                count += 1
        self.assertGreater(count, 40)
        self.assertEqual(result.summary["finished"], 300)
        self.assertEqual(len(result.requests), 300)
        rows = db.execute("SELECT id, prompt_tokens, output_tokens FROM request ORDER BY id").fetchall()
        self.assertEqual(rows, [(r.id, r.prompt_tokens, r.output_tokens) for r in sorted(result.requests)])
        low, high = result.interval("ttft_s", "p99")
        self.assertTrue(math.isnan(low) or low <= result.summary["ttft_s"]["p99"] <= high)

    def test_latencies_of_requests_are_those_of_the_summary(self):
        result = tandem.run("default", {**FEW, "output.warmup": "none"})
        for name in ("ttft_s", "e2e_s", "queue_s"):
            values = getattr(result.requests, name)
            self.assertAlmostEqual(sum(values) / len(values), result.summary[name]["mean"], delta=1e-6)
        self.assertAlmostEqual(max(result.requests.e2e_s), result.summary["e2e_s"]["max"], delta=1e-9)
        self.assertEqual(result.requests[-1], result.requests[299])
        self.assertEqual(len(result.requests[10:20]), 10)
        with self.assertRaises(AttributeError):
            result.requests.nonesuch

    def test_numpy_where_it_is_there(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("NumPy is not installed")
        columns = tandem.run("default", FEW).requests.numpy()
        self.assertEqual(columns["arrival_s"].dtype, numpy.float64)
        self.assertEqual(len(columns["id"]), 300)

    def test_a_dict_is_a_scenario(self):
        scenario = json.loads(subprocess.run([PROGRAM, "describe", "default"], capture_output=True, text=True, check=True).stdout)
        scenario["workload"]["requests"] = 50
        self.assertEqual(tandem.run(scenario).summary["finished"], 50)
        with open(self.path("s.json"), "w", encoding="utf-8") as out:
            json.dump(scenario, out)
        self.assertEqual(tandem.run(self.path("s.json"), requests=False).summary["finished"], 50)

    def test_exceptions_have_the_one_sentence(self):
        with self.assertRaises(tandem.BadInput) as caught:
            tandem.run("default", {"cluster.replicas": "many"})
        self.assertIn("cluster.replicas: expected", str(caught.exception))
        self.assertIsInstance(caught.exception, ValueError)
        with self.assertRaises(tandem.BadInput) as caught:
            tandem.run("defalt")
        self.assertIn('did you mean "default"?', str(caught.exception))
        with self.assertRaises(tandem.BadInput):
            tandem.sweep("default")
        with self.assertRaises(tandem.BadInput) as caught:
            tandem.plan({"scenario": "default", "vary": 3})
        self.assertEqual(str(caught.exception).count("\n"), 0)
        with self.assertRaises(tandem.Error):
            tandem.run("default", FEW, db="/nonexistent/x.db")

    def test_what_the_callers_function_raises_ends_the_run(self):
        told = []
        tandem.run("default", FEW, progress=told.append, every=100)
        self.assertEqual(told, [100, 200, 300])

        def fails(count):
            raise KeyError(count)
        with self.assertRaises(KeyError):
            tandem.run("default", {"workload.requests": 1000000}, progress=fails, every=1)

    def test_a_sweep_is_every_combination_in_order(self):
        told = []
        vary = {"cluster.replicas": [1, 2], "policy.batching": ["chunked_prefill", "prefill_first"]}
        results = tandem.sweep("default", vary, FEW, threads=2, progress=lambda *done: told.append(done))
        self.assertEqual([tuple(r.point.values()) for r in results], list(itertools.product(*vary.values())))
        self.assertEqual(told, [(1, 4), (2, 4), (3, 4), (4, 4)])
        alone = tandem.run("default", {**FEW, **results[3].point})
        self.assertEqual(alone.summary["ttft_s"], results[3].summary["ttft_s"])
        self.assertIsNone(results[0].requests)

    def test_pages_and_other_forms(self):
        result = tandem.run("default", FEW, db=self.path("kept.db"))
        self.assertEqual(sqlite3.connect(self.path("kept.db")).execute("SELECT count(*) FROM run").fetchone(), (1,))
        self.assertTrue(result.report().startswith("<!doctype html>"))
        self.assertEqual(result.report(self.path("page.html")), self.path("page.html"))
        self.assertTrue(os.path.getsize(self.path("page.html")) > 10000)
        self.assertEqual(json.loads(result.report(format="vllm"))["completed"], 300)
        with self.assertRaises(tandem.BadInput):
            result.report(format="nonesuch")

    def test_a_plan(self):
        scenario = json.loads(subprocess.run([PROGRAM, "describe", "default"], capture_output=True, text=True, check=True).stdout)
        plan = {"name": "small", "scenario": scenario, "search": {"policy.batching": ["chunked_prefill"]}, "objective": "gpus"}
        told = tandem.plan(plan, {"scenario.workload.requests": 300}, replications=4)
        self.assertIsInstance(told, dict)
        with self.assertRaises(tandem.BadInput) as caught:
            tandem.plan("default")
        self.assertIn("--json: is of a plan that is simulated", str(caught.exception))

    def test_slo(self):
        self.assertIs(tandem.run("default", FEW).slo_met, True)
        self.assertIs(tandem.run("default", {**FEW, "slo": {"ttft_s": {"p99": 1e-6}}}).slo_met, False)
        result = tandem.run({k: v for k, v in json.loads(subprocess.run([PROGRAM, "describe", "default"], capture_output=True,
                                                                       text=True, check=True).stdout).items() if k != "slo"}, FEW)
        self.assertIsNone(result.slo_met)


if __name__ == "__main__":
    unittest.main()
