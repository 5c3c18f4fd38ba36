# SPDX-License-Identifier: MIT
"""Recomputes request rows, batch cells, gaps between tokens and KV use from the rows of iterations."""

from bisect import bisect_right

import layout
import names

WHOLE_BATCH = ("static_padded", "static_prepacked", "dynamic_batch", "fixed_batch")  # KV stays until the batch ends
RESERVING = ("continuous", "piggyback", "elastic_batch", "decode_priority")  # KV for prompt and longest output at admission
WHOLE_PROMPT = ("prefill_first", "chunked_prefill", "adaptive_chunk")  # the prompt's KV at admission, then token by token


def overlapping(run):
    """Whether a replica has several batches in flight: iterations then overlap, and do not tell whose token comes when."""
    return layout.in_flight(run) > 1 or run.named("cluster", "placement") == "redundant_kv" or \
        any(stages > 1 for _, stages in layout.pools(run) or ())


def by_replica(run):
    rows = {}
    for i in run.iterations:
        rows.setdefault(i.replica, []).append(i)
    return rows


def check_rows(run, findings):
    for i in run.iterations if not may_waste(run) else ():
        what = f"iteration on replica {i.replica} at {i.start}"
        findings.true("iteration.tokens", sum(t for _, t in i.prompts) == i.prompt_tokens and i.end >= i.start and
                      i.padded >= i.decodes + i.prompt_tokens,
                      f"{what}: prompts {i.prompts}, prompt tokens {i.prompt_tokens}, decodes {i.decodes}, padded {i.padded}")
    if not overlapping(run):
        for replica, rows in by_replica(run).items():
            for a, b in zip(rows, rows[1:]):
                findings.true("iteration.overlap", b.start >= a.end, f"replica {replica}: {b.start} before {a.end}")


def bound(count, least):
    """The column of a batch cell: the least of 0, LEAST, 2 LEAST, 4 LEAST, … that is not below COUNT."""
    if count == 0:
        return 0
    while least < min(count, names.LAST_CELL):
        least *= 2
    return least


def check_cells(run, findings):
    right = {}
    for i in run.iterations:
        cell = right.setdefault((bound(i.decodes, 1), bound(i.prompt_tokens, 16)), [0, 0, 0, 0])
        for k, value in enumerate((1, i.end - i.start, i.decodes + i.prompt_tokens, i.padded)):
            cell[k] += value
    found = {(c["decodes"], c["prompt_tokens"]): [c["iterations"], c["ns"], c["tokens"], c["padded_tokens"]] for c in run.cells}
    for key in sorted(set(right) | set(found)):
        findings.equal("cell", f"batch cell {key}: iterations, ns, tokens, padded", found.get(key), right.get(key))


def timelines(run):
    """{request: [(iteration, prompt tokens)]}, in the order of time."""
    lines = {}
    for i in sorted(run.iterations, key=lambda i: i.start):
        for number, tokens in i.prompts:
            lines.setdefault(number, []).append((i, tokens))
    return lines


def check_prompts(run, findings, lines):
    """First batch, first token, own prefill and computed tokens of requests that compute their prompt once."""
    if layout.failures(run):
        return
    for r in run.batched:
        line = lines.get(r.id, [])
        what = f"request {r.id}"
        tokens = sum(t for _, t in line)
        if r.preemptions:
            continue
        findings.equal("request.prompt", f"{what}: prompt tokens computed", tokens, r.prompt - r.cached)
        if not line:
            continue
        findings.equal("request.queue_s", f"{what}: queue_s in ns", r.queue, line[0][0].start - r.queued)
        if layout.in_flight(run) > 1 or any(s > 1 for _, s in layout.pools(run) or ()):
            continue  # the stages after the first take their time, too
        findings.equal("request.ttft_s", f"{what}: ttft_s in ns", r.ttft, line[-1][0].end - r.arrival)
        own = sum(i.end - i.start for i, _ in line)
        findings.equal("parts.prefill_own", f"{what}: part prefill_own", r.parts.get("prefill_own", 0), own)


def check_ends(run, findings):
    ends = {}
    for i in run.iterations:
        ends.setdefault(i.replica, set()).add(i.end)
    if not overlapping(run):
        for r in run.batched:
            findings.true("request.last_token", r.served in ends.get(r.replica, ()),
                          f"request {r.id} ends at {r.served}, when no iteration of replica {r.replica} ends")


def decode_spans(run):
    """{request: its decode iterations}, for requests that have a token in each iteration of their replica from their first
    token on; None if it is not so for every request of the run."""
    if overlapping(run) or layout.pools(run) or run.unserved or layout.failures(run) or run.at("techniques"):
        return None
    rows, spans = by_replica(run), {}
    ends = {replica: [i.end for i in its] for replica, its in rows.items()}
    for r in run.batched:
        if r.preemptions:
            return None
        own = ends.get(r.replica, [])
        first, last = bisect_right(own, r.arrival + r.ttft), bisect_right(own, r.served)
        spans[r.id] = rows.get(r.replica, [])[first:last]
        if last - first != r.output - 1 or own[last - 1] != r.served:
            return None
    return spans


def gaps_of(run, spans):
    """(end, length) of all gaps between tokens, in the order in which they end."""
    if spans is None:
        return None
    gaps = []
    for r in run.batched:
        before = r.arrival + r.ttft
        for i in spans[r.id]:
            gaps.append((i.end, i.end - before))
            before = i.end
    return sorted(gaps)


def schedules_ahead(run):
    engine = run.at("engine")
    return isinstance(engine, str) or bool(engine and engine.get("schedule_ahead"))


def may_waste(run):
    """Scheduling ahead, a request that ends before its limit stands in one batch more. Rows do not tell in which."""
    return schedules_ahead(run)


def check_decodes(run, findings, spans):
    """How many sequences decode in each iteration, and the KV tokens that they read."""
    counts, kv = {}, {}
    for r in run.batched:
        for k, i in enumerate(spans[r.id]):
            counts[id(i)] = counts.get(id(i), 0) + 1
            kv[id(i)] = kv.get(id(i), 0) + r.prompt + k
    static = run.named("policy", "batching", default="") in WHOLE_BATCH
    for i in run.iterations if not may_waste(run) else ():
        what = f"iteration on replica {i.replica} at {i.start}"
        findings.equal("iteration.decodes", f"{what}: decodes", i.decodes, counts.get(id(i), 0))
        if not static:
            findings.equal("iteration.kv_tokens", f"{what}: KV tokens", i.kv_tokens, kv.get(id(i), 0))
    for r in run.batched:
        if not any(i.prompt_tokens for i in spans[r.id]) and not r.parts.get("decode_stall"):
            idle = any(a.end != b.start for a, b in zip(spans[r.id], spans[r.id][1:]))
            findings.true("parts.interference", idle or not r.parts.get("decode_interference"),
                          f"request {r.id} decodes next to no prompt: {r.parts}")


def check_stated_line(run, findings, line):
    """Durations on a device of a stated line, LINE: what its file says, to the nanosecond that is carried on. A prompt's
    chunk reads the KV of the tokens before it, a decode that of its own token, too."""
    computed = {r.id: r.cached for r in run.batched}
    for i in sorted(run.iterations, key=lambda i: i.start):
        read = i.kv_tokens + i.decodes
        for number, tokens in i.prompts:
            read += computed.get(number, 0)
            computed[number] = computed.get(number, 0) + tokens
        right = line.get("base_ns", 0) + line.get("ns_per_prefill_token", 0) * i.prompt_tokens + \
            line.get("ns_per_decode_sequence", 0) * i.decodes + line.get("ns_per_kv_token", 0) * read
        if i.padded == i.decodes + i.prompt_tokens:
            findings.near("iteration.line", f"iteration on replica {i.replica} at {i.start}: ns", i.end - i.start, right, 0, 1)


# ----------------------------------------------------------------------------------------------------------------- KV
def blocks(tokens, block):
    return -(-tokens // block)


def held(run, spans):
    """[(from, until, blocks)] of every stretch in which a request holds KV; None where it does not follow from rows."""
    policy, own = run.named("policy", "batching", default="unified_budget"), run.at("policy", "admission")
    block = run.at("policy", "kv_block_tokens", default=16)
    if spans is None or run.at("policy", "prefix_caching") or run.at("engine") or own == "predicted":
        return None
    if own == "reserve_max" or (policy in RESERVING and own is None):
        if run.offered is None:
            return None
        return [(r.queued + r.queue, r.served, blocks(r.prompt + run.offered[r.id].limit, block)) for r in run.batched]
    if policy not in WHOLE_PROMPT or any(r.parts.get("prefill_stall") for r in run.batched):
        return None
    stretches = []
    for r in run.batched:
        since, now = r.queued + r.queue, blocks(r.prompt, block)
        for k, i in enumerate(spans[r.id]):
            need = blocks(r.prompt + k + 1, block)
            if need != now:
                stretches.append((since, i.start, now))
                since, now = i.start, need
        stretches.append((since, r.served, now))
    return stretches


def check_kv(run, findings, spans):
    mean, peak = run.value("kv_use_mean"), run.value("kv_use_peak")
    if mean is not None and peak is not None:
        findings.true("kv.mean_above_peak", mean <= peak + 1e-12, f"kv_use_mean {mean!r} above kv_use_peak {peak!r}")
    per_replica = run.at("policy", "kv_blocks")
    if not per_replica or layout.pools(run) or layout.fleet(run):
        return
    pool = per_replica * layout.station_count(run)
    check_pool(run, findings, per_replica)
    stretches = held(run, spans)
    if stretches is None:
        return
    total = sum((b - a) * n for a, b, n in stretches)
    findings.near("kv.time_average", "kv_use_mean", mean, total / (pool * run.length), 1e-9,
                  len(run.iterations) / run.length)  # an iteration ends within a nanosecond of what its row says
    check_kv_levels(run, findings, stretches)
    if layout.station_count(run) == 1:
        findings.near("kv.peak", "kv_use_peak", peak, most(stretches) / pool, 1e-9, 1e-12)


def most(stretches):
    changes = sorted([(a, 1, n) for a, b, n in stretches if a < b] + [(b, 0, -n) for a, b, n in stretches if a < b])
    level = peak = 0
    for _, _, change in changes:
        level += change
        peak = max(peak, level)
    return peak


def check_kv_levels(run, findings, stretches):
    for at, value in run.series.get("kv_used_blocks", []):
        low = sum(n for a, b, n in stretches if a < at < b)
        high = sum(n for a, b, n in stretches if a <= at <= b)
        findings.between("series.kv_used_blocks", f"kv_used_blocks at {at}", value, low, high)


def check_pool(run, findings, per_replica):
    most_used = max((v for _, v in run.series.get("kv_used_blocks", [])), default=0)
    pool = per_replica * layout.station_count(run)
    findings.true("kv.pool", most_used <= pool, f"{most_used} blocks in use of a pool of {pool}")
    if layout.station_count(run) == 1:
        peak = run.value("kv_use_peak")
        findings.true("kv.peak_below", peak is None or most_used <= peak * pool + 1e-6,
                      f"{most_used} blocks in use at once, the peak is {peak!r} of {pool}")
    stated, tokens = run.later("kv_blocks"), run.later("kv_tokens")
    if stated is not None:
        findings.true("kv.pool_size", stated in (per_replica, pool), f"pool of {stated} blocks, the scenario says {per_replica}")
    if stated is not None and tokens is not None:
        findings.near("kv.pool_tokens", "tokens of the pool", tokens, stated * run.at("policy", "kv_block_tokens", default=16))


def check(run, findings, line=None):
    """Returns all gaps between tokens, or None where iterations do not tell them."""
    if run.at("output", "iterations") is not True:
        return None
    check_rows(run, findings)
    check_cells(run, findings)
    check_prompts(run, findings, timelines(run))
    check_ends(run, findings)
    spans = decode_spans(run)
    if spans is not None:
        check_decodes(run, findings, spans)
    computed_once = not run.unserved and not any(r.preemptions for r in run.batched)
    padded = run.named("policy", "batching", default="") in WHOLE_BATCH
    if line is not None and not padded and computed_once and not overlapping(run) and not layout.failures(run):
        check_stated_line(run, findings, line)
    check_kv(run, findings, spans)
    return gaps_of(run, spans)
