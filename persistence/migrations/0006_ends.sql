-- What ended when, and which slots there were: for metrics over a span of time.
CREATE INDEX attempts_by_slot ON attempts (slot, ended_at);
CREATE INDEX tasks_by_end ON tasks (ended_at);
