-- What people told heald: standing orders (pauses of a part, silences, maintenance), and approvals of single attempts.

CREATE TABLE orders (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    matchers TEXT NOT NULL, -- JSON list of [field, operator, value]
    holds INTEGER NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    made_wall REAL NOT NULL,
    made_boottime REAL NOT NULL,
    made_origin INTEGER NOT NULL REFERENCES origins (id),
    lasts REAL, -- seconds
    ended_wall REAL,
    ended_boottime REAL,
    ended_origin INTEGER REFERENCES origins (id),
    ended_by TEXT NOT NULL
);

CREATE TABLE approvals (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    ladder TEXT NOT NULL,
    incident TEXT NOT NULL,
    remediation TEXT NOT NULL,
    resource TEXT NOT NULL,
    step TEXT NOT NULL,
    plan TEXT NOT NULL,
    facts TEXT NOT NULL, -- JSON object
    asked_wall REAL NOT NULL,
    asked_boottime REAL NOT NULL,
    asked_origin INTEGER NOT NULL REFERENCES origins (id),
    expires REAL NOT NULL, -- seconds
    state TEXT NOT NULL,
    decided_wall REAL,
    decided_boottime REAL,
    decided_origin INTEGER REFERENCES origins (id),
    who TEXT NOT NULL,
    why TEXT NOT NULL
);
