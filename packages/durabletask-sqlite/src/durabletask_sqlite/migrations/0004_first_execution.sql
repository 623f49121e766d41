-- The generation that was started, once another has followed it.
ALTER TABLE instances ADD COLUMN first_execution_id TEXT;
