-- Tool calls that the model asked for: JSON of a list of {name, arguments, id}, '' for none.
ALTER TABLE attempts ADD COLUMN tool_calls TEXT NOT NULL DEFAULT '';
