-- For metrics over a span of time: ends by time, and slots.
CREATE INDEX attempts_by_slot ON attempts (slot, ended_at);
CREATE INDEX tasks_by_end ON tasks (ended_at);
