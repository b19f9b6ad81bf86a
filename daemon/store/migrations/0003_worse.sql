-- What was sick before an attempt, and what became sick after it: such a ladder acts no more.

ALTER TABLE attempts ADD COLUMN sick TEXT NOT NULL DEFAULT '[]'; -- JSON list of names (daemon.runtime.harm)
ALTER TABLE ladders ADD COLUMN worse TEXT NOT NULL DEFAULT '';
