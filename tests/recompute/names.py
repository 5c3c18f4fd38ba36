# SPDX-License-Identifier: MIT
"""Every name and every tolerance that the checks rest on, in one place.

When the program renames a column, a metric or a line of its summary, this file changes and no other."""

# Columns of table `run` that count requests. `lost` may be a column or a metric.
ARRIVED, FINISHED, REJECTED, UNFINISHED, LOST = "arrived", "finished", "rejected", "unfinished", "lost"
LOST_METRIC = "lost_requests"

LATENCIES = ("queue_s", "ttft_s", "tpot_s", "itl_s", "e2e_s", "normalized_s")
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
STATISTICS = ("count", "mean", "sd", "min", *PERCENTILES, "max")
PARTS = ("queue", "prefill_own", "prefill_stall", "decode_own", "decode_interference", "decode_stall", "preempted",
         "transfer", "route", "delay", "after", "kv_load")
RARE = ("after", "kv_load")  # whose shares of time are told only where there can be some
BANDS = (("band:p0-p50", 0, 0.5), ("band:p50-p90", 0.5, 0.9), ("band:p90-p99", 0.9, 0.99), ("band:p99-p100", 0.99, 1))

# Metrics of scope `run` that every run has (statistic `value`).
REQUIRED = (
    "requests_per_s", "goodput_per_s", "input_tokens_per_s", "output_tokens_per_s", "slo_attainment", "slo_margin",
    "slo_windows_kept", "utilization", "padding_waste", "batch_sequences", "batch_tokens", "kv_use_mean", "kv_use_peak",
    "preemptions", "recomputed_tokens", "makespan_s", "prefix_hit_rate", "bubble_share", "overloaded", LOST_METRIC,
    "replica_hours", "replica_failures", "measured_share", "interpolated_share", "estimated_share", "extrapolated_share",
    *("time_share_" + part for part in PARTS if part not in RARE))

# Metrics that ../shared/metrics.md (its last section) asks for and that may still be absent: checked where they are there.
# The name on the left is the checker's, the names on the right are those the program may use.
LATER = {
    "warmup": ("warmup_requests",),
    "unserved_share": ("unserved_share",),
    "sustainable": ("sustainable_requests_per_s",),
    "warmup_s": ("warmup_s",),
    "load": ("load",),
    "busy": ("busy", "busy_share"),
    "kv_blocks": ("kv_pool_blocks", "kv_blocks"),
    "kv_tokens": ("kv_pool_tokens", "kv_tokens"),
    "kv_concurrency": ("kv_mean_concurrency",),
    "ideal_e2e_s": ("ideal_e2e_s",),
}

# The scope of statistics that leave no warm-up out, where the program has it.
ALL = "all"

# Columns of table `station`; BUSY and LOAD name the columns that say how much of the time a station works and how its
# arrivals compare with what it can sustain. While the program has one column for both, it is BUSY.
RATE, SERVICE_RATE, BUSY, LOAD = "lambda_per_s", "mu_per_s", ("busy", "rho"), ("load",)
L, LQ, W, WQ = "l", "lq", "w_s", "wq_s"
ARRIVAL_SCV, SERVICE_SCV, RESIDUAL = "arrival_scv", "service_scv", "little_residual"
SYSTEM, QUEUE = "system", "queue"

# Formulas of table `theory`: the name, and what tells it.
ERLANG_C, POLLACZEK, ALLEN_CUNNEEN = "Erlang C", "Pollaczek", "Allen"

# The columns of table `request` that say how a request ended, where there is one, and the word for a finished one.
OUTCOME, FINISHED_WORD = ("outcome", "status"), "finished"

SERIES = ("waiting", "running", "kv_used_blocks", "requests_per_s", "output_tokens_per_s", "busy")

# A margin of a share, log(allowed misses / misses): at least half a request may miss, none that missed count as half a
# request, and no margin lies below the floor. docs/planner.md does not say these three yet.
HALF_A_REQUEST, MARGIN_FLOOR = 0.5, -100.0

# The last row and column of batch cells, which hold all that is larger.
LAST_CELL = 1 << 20

# A run is cut into at most so many sections.
SECTIONS = 32

# MSER-5 leaves at least so many means of five; the docs do not say so yet.
MEANS_LEFT = 4

# ------------------------------------------------------------------------------------------------------- tolerances
# Each is the resolution that the program states for a number, never what makes a check pass.
HISTOGRAM = 1e-3      # relative; "log-bucketed histograms with <= 0.1 % relative error" (metrics.md)
NANOSECOND = 1e-9     # seconds; simulated time is whole nanoseconds (architecture.md)
HALF_NANOSECOND = 0.5e-9
DOUBLE = 1e-9         # relative; a sum of at most some thousand doubles, and Little's law (metrics.md)
FIFTEEN_DIGITS = 1e-14  # relative; values in CSV and JSON are printed with 15 significant digits
SIX_DIGITS = 5.01e-6  # relative; values in the text format
FOUR_DIGITS = 5.01e-4  # relative; values in the summary and in Markdown

# Kinds of difference that are known and not decided yet. A kind leaves this list when the program or its docs change.
OPEN = {
    "band.border": "bands of time parts begin and end at coarser buckets than 0.1 %",
    "station.arrival_scv_ahead": "a decode replica that schedules ahead books arrivals out of order",
    "text.scope": "the text format leaves the scope out",
}

