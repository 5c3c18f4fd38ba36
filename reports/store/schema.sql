-- Tandem's results, schema version 7 (PRAGMA user_version; PRAGMA application_id is 0x546e646d, "Tndm"). Names may grow, not shrink.
CREATE TABLE run (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, scenario TEXT NOT NULL, scenario_hash TEXT NOT NULL, seed INTEGER NOT NULL,
    program_version TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT NOT NULL, wall_s REAL NOT NULL,
    simulated_s REAL NOT NULL, arrived INTEGER NOT NULL, finished INTEGER NOT NULL, rejected INTEGER NOT NULL,
    unfinished INTEGER NOT NULL, iterations INTEGER NOT NULL, model TEXT NOT NULL, device TEXT NOT NULL,
    cost_source TEXT NOT NULL, batching TEXT NOT NULL, slo_met INTEGER, slo_binding TEXT,
    lost INTEGER NOT NULL DEFAULT 0, unserved_reason TEXT);
CREATE TABLE metric (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, name TEXT NOT NULL, scope TEXT NOT NULL,
    statistic TEXT NOT NULL, value REAL, ci_low REAL, ci_high REAL, unit TEXT NOT NULL,
    PRIMARY KEY (run_id, name, scope, statistic)) WITHOUT ROWID;
CREATE TABLE histogram (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, name TEXT NOT NULL, scope TEXT NOT NULL,
    value_s REAL NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (run_id, name, scope, value_s)) WITHOUT ROWID;
CREATE TABLE station (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, station TEXT NOT NULL, lambda_per_s REAL, mu_per_s REAL,
    rho REAL, l REAL, lq REAL, w_s REAL, wq_s REAL, arrival_scv REAL, service_scv REAL, little_residual REAL,
    busy REAL, PRIMARY KEY (run_id, station)) WITHOUT ROWID;
CREATE TABLE theory (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, station TEXT NOT NULL, formula TEXT NOT NULL, value REAL,
    assumptions_met INTEGER NOT NULL, PRIMARY KEY (run_id, station, formula)) WITHOUT ROWID;
CREATE TABLE request (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, id INTEGER NOT NULL, replica INTEGER NOT NULL,
    arrival_s REAL NOT NULL, prompt_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, queue_s REAL NOT NULL,
    ttft_s REAL NOT NULL, tpot_s REAL, e2e_s REAL NOT NULL, normalized_s REAL NOT NULL, preemptions INTEGER NOT NULL,
    recomputed_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL DEFAULT 0,
    part_queue_ns INTEGER NOT NULL DEFAULT 0, part_prefill_own_ns INTEGER NOT NULL DEFAULT 0,
    part_prefill_stall_ns INTEGER NOT NULL DEFAULT 0, part_decode_own_ns INTEGER NOT NULL DEFAULT 0,
    part_decode_interference_ns INTEGER NOT NULL DEFAULT 0, part_decode_stall_ns INTEGER NOT NULL DEFAULT 0,
    part_preempted_ns INTEGER NOT NULL DEFAULT 0, part_transfer_ns INTEGER NOT NULL DEFAULT 0,
    part_route_ns INTEGER NOT NULL DEFAULT 0, part_delay_ns INTEGER NOT NULL DEFAULT 0,
    part_after_ns INTEGER NOT NULL DEFAULT 0, part_kv_load_ns INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, id)) WITHOUT ROWID;
CREATE TABLE timeseries (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, name TEXT NOT NULL, at_s REAL NOT NULL, value REAL,
    PRIMARY KEY (run_id, name, at_s)) WITHOUT ROWID;
CREATE TABLE iteration (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, replica INTEGER NOT NULL, start_ns INTEGER NOT NULL,
    number INTEGER NOT NULL, end_ns INTEGER NOT NULL, decodes INTEGER NOT NULL, decode_kv_tokens INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, padded_tokens INTEGER NOT NULL, prompts TEXT NOT NULL,
    PRIMARY KEY (run_id, replica, start_ns, number)) WITHOUT ROWID;
CREATE TABLE batch_cell (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, decodes INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    iterations INTEGER NOT NULL, ns INTEGER NOT NULL, tokens INTEGER NOT NULL, padded_tokens INTEGER NOT NULL,
    PRIMARY KEY (run_id, decodes, prompt_tokens)) WITHOUT ROWID;
CREATE TABLE headroom (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, input TEXT NOT NULL, kind TEXT NOT NULL, base REAL,
    factor REAL, holds REAL, breaks REAL, binding TEXT, PRIMARY KEY (run_id, input)) WITHOUT ROWID;
CREATE TABLE slo_target (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, scope TEXT NOT NULL, name TEXT NOT NULL,
    statistic TEXT NOT NULL, asked REAL NOT NULL, value REAL, margin REAL, met INTEGER,
    PRIMARY KEY (run_id, scope, name, statistic)) WITHOUT ROWID;
CREATE TABLE validation (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, against TEXT NOT NULL, name TEXT NOT NULL,
    statistic TEXT NOT NULL, measured REAL, simulated REAL, error REAL,
    PRIMARY KEY (run_id, against, name, statistic)) WITHOUT ROWID;
CREATE TABLE run_plugin (
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE, axis TEXT NOT NULL, policy TEXT NOT NULL,
    file TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (run_id, axis, policy)) WITHOUT ROWID;
CREATE TABLE profile (
    name TEXT PRIMARY KEY, device TEXT NOT NULL, model TEXT, source TEXT NOT NULL, hash TEXT, date TEXT);
CREATE TABLE plan (id INTEGER PRIMARY KEY, spec TEXT NOT NULL, status TEXT NOT NULL, result TEXT, name TEXT, started_at TEXT);
CREATE TABLE plan_point (
    plan_id INTEGER NOT NULL REFERENCES plan(id) ON DELETE CASCADE, point TEXT NOT NULL, run_id INTEGER REFERENCES run(id),
    status TEXT NOT NULL, result TEXT, PRIMARY KEY (plan_id, point)) WITHOUT ROWID;
CREATE TABLE sweep (id INTEGER PRIMARY KEY, spec TEXT NOT NULL, status TEXT NOT NULL, name TEXT, started_at TEXT);
CREATE TABLE sweep_point (
    sweep_id INTEGER NOT NULL REFERENCES sweep(id) ON DELETE CASCADE, point TEXT NOT NULL,
    run_id INTEGER REFERENCES run(id), status TEXT NOT NULL, result TEXT, PRIMARY KEY (sweep_id, point)) WITHOUT ROWID;
CREATE VIEW time_parts AS
    SELECT run_id, id AS request_id, 'queue' AS part, part_queue_ns AS ns FROM request WHERE part_queue_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'prefill_own' AS part, part_prefill_own_ns AS ns FROM request WHERE part_prefill_own_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'prefill_stall' AS part, part_prefill_stall_ns AS ns FROM request WHERE part_prefill_stall_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'decode_own' AS part, part_decode_own_ns AS ns FROM request WHERE part_decode_own_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'decode_interference' AS part, part_decode_interference_ns AS ns FROM request WHERE part_decode_interference_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'decode_stall' AS part, part_decode_stall_ns AS ns FROM request WHERE part_decode_stall_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'preempted' AS part, part_preempted_ns AS ns FROM request WHERE part_preempted_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'transfer' AS part, part_transfer_ns AS ns FROM request WHERE part_transfer_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'route' AS part, part_route_ns AS ns FROM request WHERE part_route_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'delay' AS part, part_delay_ns AS ns FROM request WHERE part_delay_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'after' AS part, part_after_ns AS ns FROM request WHERE part_after_ns <> 0
    UNION ALL SELECT run_id, id AS request_id, 'kv_load' AS part, part_kv_load_ns AS ns FROM request WHERE part_kv_load_ns <> 0;
CREATE VIEW v_run_summary AS
    SELECT r.id, CASE WHEN max(CASE WHEN m.name = 'overloaded' THEN m.value END) > 0 THEN 'overloaded'
        WHEN r.slo_met IS NULL THEN 'no SLO' WHEN r.slo_met > 0 THEN 'met' ELSE 'not met' END AS verdict,
        r.name, r.batching, r.model, r.device, r.arrived, r.finished, r.rejected, r.lost, r.unfinished, r.simulated_s,
        max(CASE WHEN m.name = 'load' THEN m.value END) AS load,
        max(CASE WHEN m.name = 'ttft_s' AND m.statistic = 'p50' THEN m.value END) AS ttft_p50_s,
        max(CASE WHEN m.name = 'ttft_s' AND m.statistic = 'p99' THEN m.value END) AS ttft_p99_s,
        max(CASE WHEN m.name = 'tpot_s' AND m.statistic = 'p50' THEN m.value END) AS tpot_p50_s,
        max(CASE WHEN m.name = 'tpot_s' AND m.statistic = 'p99' THEN m.value END) AS tpot_p99_s,
        max(CASE WHEN m.name = 'goodput_per_s' THEN m.value END) AS goodput_per_s, r.slo_met
    FROM run r LEFT JOIN metric m ON m.run_id = r.id AND m.scope = 'run' GROUP BY r.id;
CREATE VIEW v_slo AS
    SELECT r.id AS run_id, r.name, m.value AS attainment, r.slo_met FROM run r
    LEFT JOIN metric m ON m.run_id = r.id AND m.name = 'slo_attainment' AND m.scope = 'run';
CREATE VIEW v_compare AS
    SELECT a.run_id AS run_a, b.run_id AS run_b, a.name, a.scope, a.statistic, a.value AS value_a, b.value AS value_b,
        b.value - a.value AS difference
    FROM metric a JOIN metric b ON a.name = b.name AND a.scope = b.scope AND a.statistic = b.statistic AND a.run_id < b.run_id;
