-- People are told once that something flaps, across restarts too.

ALTER TABLE tracks ADD COLUMN told_flapping INTEGER NOT NULL DEFAULT 0;
