-- Stored replays: a workload under one policy, with its metrics.
CREATE TABLE replays (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,                        -- when it ran, Unix seconds
    workload TEXT NOT NULL,
    policy TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('virtual', 'live')),
    core TEXT,                               -- NULL: virtual time
    note TEXT NOT NULL DEFAULT '',
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    tasks INTEGER NOT NULL,
    metrics TEXT NOT NULL,                   -- JSON: a run of report.json
    columns BLOB NOT NULL                    -- the tasks' times, packed by engine.replay.codec
) STRICT;
