# SPDX-License-Identifier: MIT
"""Random scenarios that reach what a run can be: every batching policy, order, routing and placement, parallelism, closed
loops, fleets that fail and scale, classes, prefixes, techniques, and SLOs of every form. A scenario is small: what is
checked is arithmetic, and that needs few requests."""

import json

WHOLE_BATCH = ("static_padded", "static_prepacked", "dynamic_batch", "fixed_batch", "elastic_batch", "decode_priority")
LOADING = ("chunked_prefill", "continuous", "lightllm", "piggyback", "prefill_first", "unified_budget", "adaptive_chunk")
ITERATIVE = ("continuous", "prefill_first", "piggyback", "chunked_prefill", "unified_budget", "lightllm", "adaptive_chunk")
KEYED = ("fcfs", "sjf", "srpt", "edf", "length_bucket", "priority", "skip_predict")
ACCOUNTING = ("fair", "decode_ratio", "resource_aware", "lpm")
ROUTING = ("round_robin", "random", "power_of_two", "least_outstanding_requests", "least_outstanding_tokens", "central_queue",
           "prefix_affinity", "session_affinity", "slo_aware", "predicted_kv")
PREDICTORS = ("oracle", "noisy", "bucketed", "constant", "two_step")
LINE, TABLES = "tests/data/line2.json", "tests/data/tables.json"
DEVICES = ("h100-sxm", "a100-80gb", "rtx-4090", LINE, TABLES)
STATISTICS = ("mean", "p50", "p90", "p95", "p99", "p99.9", "max")
SCALES = {"ttft_s": (0.005, 2), "tpot_s": (0.004, 0.05), "itl_s": (0.005, 0.1), "e2e_s": (0.05, 4), "normalized_s": (0.005, 0.1)}


def chance(rng, share):
    return rng.random() < share


def between(rng, low, high):
    """Log-uniform, with three digits."""
    return float(f"{low * (high / low) ** rng.random():.3g}")


def lengths(rng):
    prompt = rng.choice([{"name": "lognormal", "median": rng.choice([30, 150]), "sigma": 1, "max": 700},
                         {"name": "uniform", "min": 1, "max": 300}, {"name": "fixed", "tokens": rng.choice([1, 64, 200])},
                         {"name": "exponential", "mean": 120}])
    output = rng.choice([{"name": "uniform", "min": 1, "max": rng.choice([4, 30, 90])}, {"name": "exponential", "mean": 25},
                         {"name": "fixed", "tokens": rng.choice([1, 2, 20])}, {"name": "lognormal", "median": 20, "sigma": 0.8, "max": 150}])
    return {"prompt": prompt, "output": output}


def arrivals(rng, closed):
    if closed:
        return {"name": "closed_loop", "concurrency": rng.randint(1, 25), "think_s": rng.choice([0, 0.02, 0.3]),
                "turns": rng.choice([1, 1, 3])}
    rate = between(rng, 2, 200)
    return rng.choice([{"name": "poisson", "rate_per_s": rate}, {"name": "poisson", "rate_per_s": rate},
                       {"name": "gamma", "rate_per_s": rate, "cv": rng.choice([0.5, 2, 4])},
                       {"name": "deterministic", "rate_per_s": rate}, "at_once",
                       {"name": "diurnal", "rate_per_s": rate, "amplitude": 0.9, "period_s": 2, "peak_s": 1}])


def trace(rng):
    """Lines of a trace, with gaps, equal arrivals, and a first arrival that need not be at 0."""
    at, lines, repeats = rng.choice([0, 0, 0.75]), [], chance(rng, 0.4)
    for _ in range(rng.randint(1, 100)):
        line = {"arrival_s": round(at, 9), "prompt_tokens": rng.randint(1, 400), "output_tokens": rng.randint(1, 60)}
        if chance(rng, 0.3):
            line["max_output_tokens"] = line["output_tokens"] + rng.randint(0, 100)
        if repeats and chance(rng, 0.6):  # a prompt that comes again
            group = rng.randint(1, 4)
            line.update(prompt_tokens=40 * group, prefix_group=group, prefix_tokens=40 * group - rng.choice([0, 0, 0, 1]))
        line["priority"], line["client"] = rng.randint(0, 2), rng.randint(0, 3)
        lines.append(json.dumps(line))
        at += rng.choice([0, rng.expovariate(30), rng.expovariate(3)])
    return lines


def workload(rng, whole_batch):
    if chance(rng, 0.15):
        return {"trace": None}, trace(rng)
    closed = chance(rng, 0.25)
    work = {"arrivals": arrivals(rng, closed), "lengths": lengths(rng), "requests": rng.choice([rng.randint(1, 12), rng.randint(10, 150)])}
    turns = closed and work["arrivals"]["turns"] > 1
    if chance(rng, 0.2) and not turns:
        work["prefixes"] = {"groups": rng.randint(1, 4), "tokens": rng.choice([16, 50, 130]), "skew": rng.choice([0, 1])}
    if chance(rng, 0.25):
        work["priorities"] = rng.choice([[1, 2], [1, 1, 1]])
    if chance(rng, 0.25) and not closed:
        work["clients"] = {"count": rng.randint(2, 5), "skew": rng.choice([0, 1])}
    if chance(rng, 0.2):
        work["max_output_tokens"] = rng.choice([10, 40, 200])
    if chance(rng, 0.1) and not closed:
        work["rate_scale"] = rng.choice([0.5, 2])
    if chance(rng, 0.1):
        work[rng.choice(["prompt_scale", "output_scale"])] = rng.choice([0.5, 1.5])
    return work, None


def batching(rng, names):
    name, rows = rng.choice(names), rng.randint(1, 24)
    policy = {"name": name, "size" if name == "fixed_batch" else "max_sequences": rows}
    extras = {
        "static_padded": {"batch_wait_s": rng.choice([0, 0.05])},
        "static_prepacked": {"attention": rng.choice(["masked", "varlen"]),
                             "packing": rng.choice(["first_fit_decreasing", "best_fit_decreasing", "to_constant_volume", "optimal"])},
        "fixed_batch": {"flush_after_s": rng.choice([0.1, 0.5])},
        "elastic_batch": {"batch_wait_s": rng.choice([0, 0.1])},
        "decode_priority": {"batch_wait_s": rng.choice([0, 0.02])},
        "prefill_first": {"max_batched_tokens": rng.choice([0, 256, 1000])},
        "piggyback": {"chunk_tokens": rng.choice([16, 128, 512])},
        "chunked_prefill": {"token_budget": rng.choice([4, 64, 512]), "tbt_target_s": rng.choice([0, 0, 0.01])},
        "unified_budget": {"token_budget": rng.choice([3, 96, 1000]), "long_prefill_threshold": rng.choice([0, 0, 32]),
                           "whole_must_fit": chance(rng, 0.5)},
        "lightllm": {"max_waiting_iters": rng.choice([1, 8]), "max_batched_tokens": rng.choice([512, 4096])},
        "adaptive_chunk": {"tbt_target_s": rng.choice([0.008, 0.03]), "largest_chunk": rng.choice([64, 512])},
    }
    policy.update(extras.get(name, {}))
    return policy


def fleet(rng):
    parts = {}
    if chance(rng, 0.5):
        parts["failures"] = rng.choice([
            {"mtbf_s": between(rng, 0.5, 5), "mttr_s": between(rng, 0.1, 1), "requests": rng.choice(["reroute", "lost"])},
            {"schedule": [{"replica": 0, "at_s": 0.2, "for_s": 0.3}], "requests": rng.choice(["reroute", "lost"])}])
    if chance(rng, 0.4):
        policy = rng.choice([{"name": "concurrency", "target": 4}, {"name": "waiting", "target": 2}, {"name": "rate", "rate_per_s": 10}])
        parts["autoscaling"] = {"policy": policy, "interval_s": rng.choice([0.05, 0.2]), "cold_start_s": rng.choice([0.05, 0.3]),
                                "slow_down_s": rng.choice([0, 0.3])}
    if chance(rng, 0.5):
        parts["admission"] = rng.choice([{"give_up_s": between(rng, 0.01, 0.5)}, {"most_waiting": rng.randint(1, 10)},
                                         {"most_outstanding_tokens": rng.choice([300, 2000])},
                                         {"give_up_s": 0.1, "most_waiting": 8}])
    return parts


def pool(rng, staged, decode):
    parts = {"replicas": rng.randint(1, 2)}
    if staged:
        parts["pipeline_parallel"] = rng.randint(1, 3)
    if decode or chance(rng, 0.3):
        parts["batching"] = batching(rng, ("chunked_prefill", "unified_budget", "continuous"))
    return parts


def cluster(rng, kind, staged):
    if kind == "pipeline":
        return {"replicas": rng.randint(1, 2), "pipeline_parallel": rng.randint(2, 4), "tensor_parallel": rng.choice([1, 2])}
    if kind == "pair":
        return {"replicas": rng.choice([2, 4]), "placement": {"name": "redundant_kv", "link": {"bytes_per_s": rng.choice([2e8, 2e10])}}}
    if kind == "ranks":
        return {"replicas": rng.randint(1, 2), "data_parallel": 2, "expert_parallel": rng.randint(1, 2)}
    if kind in ("disaggregated", "two_level", "mixed_pool"):
        place = {"name": kind, "prefill": pool(rng, staged, False), "decode": pool(rng, staged, True),
                 "link": {"bytes_per_s": rng.choice([2e8, 2e9, 5e10]), "layerwise": chance(rng, 0.5)}}
        if kind == "mixed_pool":
            place.update(prefill_above_tokens=300, decode_above_tokens=500)
        return {"placement": place}
    parts = {"replicas": rng.randint(1, 4)}
    if chance(rng, 0.2):
        parts["tensor_parallel"] = 2
    return parts


def add_pool_fleets(rng, placement):
    """Pools that say themselves how their replicas come and go; who decodes has been in a batch, and does not give up."""
    for name in ("prefill", "decode"):
        said = fleet(rng) if chance(rng, 0.6) else {}
        if name == "decode":
            said.get("admission", {}).pop("give_up_s", None)
        placement[name].update({key: value for key, value in said.items() if value})


def add_delay(rng, cluster, work):
    """Puts the replicas behind a delay station or a cache, before a station, or between two."""
    service = rng.choice([0, 0.02, {"name": "exponential", "mean": 0.03}, {"name": "lognormal", "median": 0.01, "sigma": 1},
                          {"name": "gamma", "mean": 0.05, "cv": 0.5}, {"name": "uniform", "min": 0, "max": 0.1}])
    shape = {key: cluster.pop(key) for key in ("replicas", "tensor_parallel") if key in cluster}
    cluster["pools"] = {"serve": shape, "door": {"kind": "delay", "servers": rng.choice([1, 2, 5, "unlimited"]), "service_s": service}}
    cluster["flow"] = ["serve", "door"] if chance(rng, 0.5) else ["door", "serve"]
    if cluster["flow"][0] == "door" and chance(rng, 0.5):
        cluster["pools"]["door"] = cache(rng, work, cluster["pools"]["door"]["servers"], service)
    if chance(rng, 0.3):
        cluster["pools"]["filter"] = {"kind": "delay", "servers": rng.choice([1, "unlimited"]), "service_s": 0.01}
        cluster["flow"] = ["door", "serve", "filter"]


def cache(rng, work, servers, lookup):
    """Answers by chance, or those that it has kept where requests are known to ask the same."""
    rule = {"kind": "cache", "lookup_s": lookup, **({} if servers == 5 else {"servers": servers})}
    if "trace" in work and chance(rng, 0.7):
        return rule | {"entries": rng.choice([1, 3, 100])}
    if "prefixes" in work:
        return rule | {"entries": rng.choice([1, 2, 100]), "key": "prefix_group"}
    return rule | {"hit_ratio": rng.choice([0, 0.3, 0.9])}


def limits(rng, metrics):
    rule = {}
    for metric in rng.sample(metrics, rng.randint(1, 3)):
        rule[metric] = {s: between(rng, *SCALES[metric]) for s in rng.sample(STATISTICS, rng.choice([1, 1, 2]))}
    return rule


def slo(rng, work, traced):
    rule = limits(rng, list(SCALES))
    if chance(rng, 0.5):
        rule["attainment"] = rng.choice([0.5, 0.9, 0.99, 1])
    if chance(rng, 0.3):
        rule["goodput_per_s"] = between(rng, 0.5, 50)
    if chance(rng, 0.3):
        rule["windows"] = {"length_s": rng.choice([0.25, 0.5, 2]), "share": rng.choice([0.3, 0.8, 1])}
    if chance(rng, 0.35):
        rule["classes"] = {name: one_class(rng, work, traced) for name in rng.sample(["long", "short", "paid"], rng.randint(1, 2))}
    return rule


def one_class(rng, work, traced):
    choices = [{"prompt_tokens": [100, 100000]}, {"output_tokens": [1, 20]}, {"prompt_tokens": [1, 64], "output_tokens": [2, 1000]}]
    if traced or "priorities" in work:
        choices.append({"priority": 0})
    if traced or "clients" in work:
        choices.append({"client": rng.choice([0, [0, 1]])})
    rule = dict(rng.choice(choices), **limits(rng, [m for m in SCALES if m != "itl_s"]))
    if chance(rng, 0.5):
        rule["attainment"] = rng.choice([0.5, 0.95])
    return rule


def ideal(rng):
    """A server of queueing theory: one request at a time, whose time is its prompt's."""
    servers, mean = rng.randint(1, 4), rng.choice([100000, 1000000])
    load = rng.choice([0.3, 0.7, 0.95, 1.6])
    prompt = rng.choice([{"name": "exponential", "mean": mean}, {"name": "fixed", "tokens": mean}])
    return {"model": "ideal", "device": "ideal-server",
            "cluster": {"replicas": servers, "routing": rng.choice(["central_queue", "random", "round_robin"])},
            "policy": {"batching": {"name": "continuous", "max_sequences": 1}, "kv_blocks": 100000000},
            "workload": {"arrivals": {"name": "poisson", "rate_per_s": load * servers / (mean * 1e-8)}, "requests": rng.randint(20, 150),
                         "lengths": {"prompt": prompt, "output": {"name": "fixed", "tokens": 1}}}}


def kinds(rng, name):
    """What replicas do, among what goes with a batching policy."""
    if name in WHOLE_BATCH:
        return "colocated" if chance(rng, 0.85) else "ranks"
    return rng.choice(["colocated"] * 8 + ["pipeline", "pair", "ranks", "disaggregated", "two_level", "mixed_pool"])


def serving(rng):
    policy = batching(rng, WHOLE_BATCH if chance(rng, 0.3) else ITERATIVE)
    kind = kinds(rng, policy["name"])
    split = kind in ("disaggregated", "two_level", "mixed_pool")
    staged = split and chance(rng, 0.25)
    routing = rng.choice(ROUTING)
    if routing == "central_queue" and kind in ("mixed_pool", "pair"):
        routing = "random"
    shared = routing == "central_queue" or kind in ("pipeline", "pair") or staged
    many = fleet(rng) if kind != "pair" and chance(rng, 0.4) else {}
    order = rng.choice(KEYED if shared else KEYED + ACCOUNTING)
    work, lines = workload(rng, policy["name"] in WHOLE_BATCH)
    device = rng.choice(DEVICES[:2] if kind == "ranks" else DEVICES[:3] + DEVICES[4:] if kind == "pipeline" or staged else DEVICES)
    block = rng.choice([1, 3, 16, 16, 64])
    longest = 700 + 130 + 150
    parts = cluster(rng, kind, staged)
    if split and chance(rng, 0.3):
        add_pool_fleets(rng, parts["placement"])
    if device == TABLES:
        parts.pop("tensor_parallel", None)  # which its tables were measured without
    scenario = {"model": "qwen3-30b-a3b" if kind == "ranks" else "llama-3.1-8b", "device": device,
                "cluster": dict(parts, routing=routing, **many),
                "policy": {"batching": policy, "order": order, "kv_block_tokens": block,
                           "kv_blocks": (longest >> rng.choice([0, 0, 0, 2])) // block + 1 + rng.randint(0, 4000 // block)},
                "workload": work}
    if kind == "colocated" and "give_up_s" not in many.get("admission", {}) and chance(rng, 0.15):
        add_delay(rng, scenario["cluster"], work)
    add_policy(rng, scenario["policy"], policy["name"], kind, shared or staged)
    if chance(rng, 0.5):
        add_tiers(rng, scenario, kind, staged)
    add_engine(rng, scenario, kind, staged)
    return scenario, lines


def add_policy(rng, policy, batching_name, kind, shared):
    if chance(rng, 0.4):
        name = rng.choice(PREDICTORS)
        policy["predictor"] = name
        if name == "two_step" and not shared and chance(rng, 0.5):
            policy["predictor"] = {"name": name, "server_s": 0.003, "cheap_server_s": 0.001}
    if batching_name in ITERATIVE and chance(rng, 0.3):
        policy["admission"] = rng.choice(["on_demand", "reserve_max", "predicted"])
    if kind in ("colocated", "ranks") and chance(rng, 0.25):
        policy["preemption"] = {"name": "swap", "host_bytes": 5e7, "bytes_per_s": 2e9}
    if batching_name in ITERATIVE and chance(rng, 0.4):
        policy["prefix_caching"] = True


def add_tiers(rng, scenario, kind, staged):
    """Below the GPU memory of whoever computes prompts."""
    policy, cluster = scenario["policy"], scenario["cluster"]
    if kind == "pair" or not policy.get("prefix_caching") or policy["batching"]["name"] not in LOADING:
        return
    tiers = {}
    for name in ("host", "remote")[:rng.randint(1, 2)]:
        tiers[name] = {"bytes": rng.choice([2e7, 3e8, 1e12]), "shared_by": rng.choice(["replica", "node", "cluster"]),
                       "read_bytes_per_s": rng.choice([3e8, 25e9]), "latency_ns": rng.choice([0, 10000, 1000000]),
                       "discipline": rng.choice(["shared", "fifo"]), "evict": rng.choice(["lru", "fifo"]),
                       "write": "evict" if kind == "pipeline" or staged else rng.choice(["evict", "through"]),
                       "load": rng.choice(["always", "faster"])}
    cluster["tiers"] = tiers
    if chance(rng, 0.3):
        cluster["nodes"] = {"gpus": rng.randint(1, 4)}


def add_engine(rng, scenario, kind, staged):
    if kind in ("colocated", "disaggregated") and not staged and chance(rng, 0.12):
        scenario["techniques"] = rng.choice([["speculative"], ["swiftkv", "kivi-2bit"],
                                             [{"name": "slow", "paper": "none", "changes": [{"name": "time", "factor": 1.3}]}]])
    if chance(rng, 0.15):
        scenario["engine"] = rng.choice(["vllm-0.19", "trtllm-1.2", "sglang-0.5", {"schedule_ahead": True},
                                         {"host_ns": 200000, "host_ns_per_sequence": 3000}])


def scenario(rng):
    """(scenario, lines of its trace or None)."""
    made, lines = (ideal(rng), None) if chance(rng, 0.06) else serving(rng)
    made["seed"] = rng.randint(1, 100000)
    made["output"] = {"requests": True, "iterations": True, "timeseries_s": between(rng, 0.02, 1),
                      "warmup": "mser5" if chance(rng, 0.25) else "none"}
    if chance(rng, 0.8):
        made["slo"] = slo(rng, made["workload"], lines is not None)
    return made, lines
