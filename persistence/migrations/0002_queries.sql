-- What a client's llm call carried beside its prompt: JSON of engine.query.LlmQuery, NULL for every other task.
ALTER TABLE tasks ADD COLUMN query TEXT;
