-- A client's own llm query: JSON of engine.llm_query.LlmQuery, NULL for every other task.
ALTER TABLE tasks ADD COLUMN query TEXT;
