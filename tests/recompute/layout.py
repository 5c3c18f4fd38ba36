# SPDX-License-Identifier: MIT
"""What a scenario's replicas are: how many, in which pools, and how many batches each can have in flight."""


USUAL_SERVERS = {"delay": 1, "cache": "unlimited"}


def in_flight(run):
    """Batches that a replica can have in flight at once: those of a pipeline's stages, or of a pair's two."""
    return int(run.at("cluster", "pipeline_parallel", default=1))


def speakers(run):
    """Who may say how replicas come and go: the cluster, and its pools."""
    placement = run.at("cluster", "placement", default={})
    apart = [placement.get(p, {}) for p in ("prefill", "decode")] if isinstance(placement, dict) else []
    return [run.at("cluster", default={}), *apart, *run.at("cluster", "pools", default={}).values()]


def failures(run):
    return any(said.get("failures") for said in speakers(run))


def fleet(run):
    return failures(run) or any(said.get("autoscaling") for said in speakers(run))


def delays(run):
    """{name: servers, 0 for as many as there are requests} of the stations that requests go through one by one."""
    stated = run.at("cluster", "pools", default={})
    servers = {name: pool.get("servers", USUAL_SERVERS[pool["kind"]]) for name, pool in stated.items() if is_delay(pool)}
    return {name: 0 if count == "unlimited" else count for name, count in servers.items()}


def is_delay(pool):
    return pool.get("kind", "replica") != "replica"


def delay_row(run, name):
    """What the rows of a delay station are called."""
    return run.at("cluster", "pools", name, "kind") + ":" + name


def delays_around(run):
    """Names of the delay stations before the pools that serve, and after them, in order of the flow."""
    flow, named = run.at("cluster", "flow", default=[]), delays(run)
    serving = next((i for i, step in enumerate(flow) if not isinstance(step, str) or step not in named), 0)
    return flow[:serving], [step for step in flow[serving:] if isinstance(step, str) and step in named]


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
    if delays(run):
        return sum(pool.get("replicas", 1) for pool in run.at("cluster", "pools").values() if not is_delay(pool))
    return int(run.at("cluster", "replicas", default=1)) * int(run.at("cluster", "data_parallel", default=1))


def station_count(run):
    return replicas(run) // (2 if run.named("cluster", "placement") == "redundant_kv" else 1)


def server_counts(run):
    """{replica: batches that it can have in flight at once}."""
    if pools(run):
        (first, stages), (second, more) = pools(run)
        return {n: stages if n < first else more for n in range(first + second)}
    each = 2 if run.named("cluster", "placement") == "redundant_kv" else in_flight(run)
    return {n: each for n in range(station_count(run))}
