-- What a model asked to have called at the end of an attempt: JSON of a list of {name, arguments, id}, '' for nothing.
ALTER TABLE attempts ADD COLUMN tool_calls TEXT NOT NULL DEFAULT '';
