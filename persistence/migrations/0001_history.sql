-- Tasks, their attempts, and operator actions. Times are Unix seconds, durations seconds.
PRAGMA application_id = 1095323475;  -- the bytes "AIOS"

CREATE TABLE runs (                          -- one row for each program run that owned this history
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    program TEXT NOT NULL,
    version TEXT NOT NULL,
    core TEXT,
    started_at REAL NOT NULL,
    ended_at REAL                            -- NULL: it is running, or it was killed
) STRICT;

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,    -- given by the program; AUTOINCREMENT keeps the highest ever given
    agent TEXT NOT NULL,
    prompt TEXT NOT NULL,
    asked_priority INTEGER NOT NULL CHECK (asked_priority BETWEEN 0 AND 9),
    asked_model TEXT,
    client TEXT,
    deadline REAL,
    options TEXT NOT NULL DEFAULT '{}',      -- JSON of what was set
    ref TEXT,
    workload TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    retry_of INTEGER REFERENCES tasks (id),
    accepted_run INTEGER NOT NULL REFERENCES runs (id),
    submitted_at REAL NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    starts INTEGER NOT NULL DEFAULT 0,       -- how often it started; each attempt belongs to one start
    interruptions INTEGER NOT NULL DEFAULT 0,
    dispatch_order INTEGER,
    started_at REAL,
    ended_at REAL,
    ended_run INTEGER REFERENCES runs (id),
    round_total INTEGER,
    rounds INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    core TEXT,
    model TEXT,
    result TEXT,
    error TEXT,
    waiting_s REAL,
    turnaround_s REAL,
    service_s REAL NOT NULL DEFAULT 0,
    decode_s REAL NOT NULL DEFAULT 0,
    ttft_s REAL,
    tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    CHECK ((ended_at IS NULL) = (state IN ('queued', 'running')))
) STRICT;

CREATE INDEX tasks_by_state ON tasks (state);

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    start INTEGER NOT NULL,                  -- tasks.starts at that time: rounds count from 1 after each start
    round INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'executing'
        CHECK (state IN ('executing', 'done', 'failed', 'cancelled', 'interrupted')),
    slot TEXT NOT NULL,
    core TEXT NOT NULL,
    model TEXT,
    ready_at REAL NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    prompt TEXT NOT NULL,
    reply TEXT NOT NULL DEFAULT '',
    thinking TEXT NOT NULL DEFAULT '',
    tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    load_s REAL NOT NULL DEFAULT 0,
    prefill_s REAL NOT NULL DEFAULT 0,
    decode_s REAL NOT NULL DEFAULT 0,
    ttft_s REAL,
    service_s REAL NOT NULL DEFAULT 0,
    fault TEXT,
    error TEXT,
    UNIQUE (task, start, round, attempt),
    CHECK ((ended_at IS NULL) = (state = 'executing'))
) STRICT;

CREATE INDEX attempts_executing ON attempts (task) WHERE state = 'executing';

CREATE TABLE priority_changes (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    at REAL NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    previous INTEGER NOT NULL CHECK (previous BETWEEN 0 AND 9)
) STRICT;

CREATE INDEX priority_changes_by_task ON priority_changes (task);

CREATE TABLE policy_switches (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    run INTEGER NOT NULL REFERENCES runs (id),
    policy TEXT NOT NULL,
    previous TEXT
) STRICT;

-- Words of prompts and results; the text itself is in tasks only. The writer updates it with its own statements: with
-- triggers, FTS5 flushes its buffer at every row, and a task costs twice as much.
CREATE VIRTUAL TABLE tasks_words USING fts5 (
    prompt, result, content = 'tasks', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER tasks_words_delete AFTER DELETE ON tasks BEGIN
    INSERT INTO tasks_words (tasks_words, rowid, prompt, result) VALUES ('delete', old.id, old.prompt, old.result);
END;
