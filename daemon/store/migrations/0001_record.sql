-- What heald remembers. A stamp is three columns, NAME_wall, NAME_boottime and NAME_origin: an origin names the boot,
-- the host and whether its wall clock was right, so that ages can be measured after reboots and clock jumps.
-- `place` is the order of recording, which no clock can bend.

CREATE TABLE origins (
    id INTEGER PRIMARY KEY,
    boot TEXT NOT NULL,
    host TEXT NOT NULL,
    synchronised INTEGER NOT NULL,
    UNIQUE (boot, host, synchronised)
);

CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

CREATE TABLE incidents (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    "check" TEXT NOT NULL,
    subject TEXT NOT NULL,
    service TEXT,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_wall REAL NOT NULL,
    opened_boottime REAL NOT NULL,
    opened_origin INTEGER NOT NULL REFERENCES origins (id),
    because TEXT NOT NULL,
    closed_wall REAL,
    closed_boottime REAL,
    closed_origin INTEGER REFERENCES origins (id),
    linked_to TEXT,
    hold TEXT,
    hold_sentence TEXT NOT NULL,
    handed_over TEXT,
    handed_over_at_wall REAL,
    handed_over_at_boottime REAL,
    handed_over_at_origin INTEGER REFERENCES origins (id)
);
CREATE INDEX incidents_open ON incidents (place) WHERE closed_origin IS NULL;

CREATE TABLE transitions (
    place INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    "check" TEXT NOT NULL,
    subject TEXT NOT NULL,
    incident TEXT,
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    at_wall REAL NOT NULL,
    at_boottime REAL NOT NULL,
    at_origin INTEGER NOT NULL REFERENCES origins (id),
    because TEXT NOT NULL
);
CREATE INDEX transitions_by_incident ON transitions (incident) WHERE incident IS NOT NULL;

CREATE TABLE holds (
    place INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    resource TEXT NOT NULL,
    incident TEXT NOT NULL,
    remediation TEXT NOT NULL,
    reason TEXT NOT NULL,
    sentence TEXT NOT NULL,
    at_wall REAL NOT NULL,
    at_boottime REAL NOT NULL,
    at_origin INTEGER NOT NULL REFERENCES origins (id)
);
CREATE INDEX holds_by_incident ON holds (incident);

CREATE TABLE attempts (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    resource TEXT NOT NULL,
    ladder TEXT NOT NULL,
    remediation TEXT NOT NULL,
    step TEXT NOT NULL,
    try_number INTEGER NOT NULL,
    incidents TEXT NOT NULL, -- JSON list of ids
    claimed_wall REAL NOT NULL,
    claimed_boottime REAL NOT NULL,
    claimed_origin INTEGER NOT NULL REFERENCES origins (id),
    timeout REAL NOT NULL,
    settle REAL NOT NULL,
    verify REAL NOT NULL,
    cooldown REAL NOT NULL,
    state TEXT NOT NULL,
    permanent INTEGER NOT NULL,
    ended_wall REAL,
    ended_boottime REAL,
    ended_origin INTEGER REFERENCES origins (id),
    summary TEXT NOT NULL,
    details TEXT NOT NULL, -- JSON object
    verification TEXT,
    released_wall REAL,
    released_boottime REAL,
    released_origin INTEGER REFERENCES origins (id),
    would INTEGER NOT NULL,
    void INTEGER NOT NULL
);

CREATE TABLE attempts_for (
    incident TEXT NOT NULL,
    attempt TEXT NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    PRIMARY KEY (incident, attempt)
) WITHOUT ROWID;
CREATE INDEX attempts_for_attempt ON attempts_for (attempt);

CREATE TRIGGER attempts_made AFTER INSERT ON attempts BEGIN
    INSERT OR IGNORE INTO attempts_for (incident, attempt) SELECT value, NEW.id FROM json_each(NEW.incidents);
END;
CREATE TRIGGER attempts_joined AFTER UPDATE OF incidents ON attempts WHEN OLD.incidents <> NEW.incidents BEGIN
    DELETE FROM attempts_for WHERE attempt = NEW.id;
    INSERT OR IGNORE INTO attempts_for (incident, attempt) SELECT value, NEW.id FROM json_each(NEW.incidents);
END;

CREATE TABLE tracks (
    rule TEXT NOT NULL,
    "check" TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    counted REAL NOT NULL,
    incident TEXT,
    muted INTEGER NOT NULL,
    memory TEXT NOT NULL, -- JSON list of lists of verdicts
    PRIMARY KEY (rule, "check", subject)
) WITHOUT ROWID;

CREATE TABLE ladders (
    rule TEXT NOT NULL,
    resource TEXT NOT NULL,
    step TEXT NOT NULL,
    nth INTEGER NOT NULL,
    tries TEXT NOT NULL, -- JSON object
    attempt TEXT,
    clear_streak INTEGER NOT NULL,
    flapping INTEGER NOT NULL,
    exhausted INTEGER NOT NULL,
    waiting_since_wall REAL,
    waiting_since_boottime REAL,
    waiting_since_origin INTEGER REFERENCES origins (id),
    floor_wall REAL,
    floor_boottime REAL,
    floor_origin INTEGER REFERENCES origins (id),
    closed_wall REAL,
    closed_boottime REAL,
    closed_origin INTEGER REFERENCES origins (id),
    last_incident TEXT,
    held_for REAL NOT NULL,
    hold TEXT,
    would INTEGER NOT NULL,
    PRIMARY KEY (rule, resource)
) WITHOUT ROWID;

CREATE TABLE history (
    place INTEGER PRIMARY KEY,
    "check" TEXT NOT NULL,
    subject TEXT NOT NULL,
    at_wall REAL NOT NULL,
    at_boottime REAL NOT NULL,
    at_origin INTEGER NOT NULL REFERENCES origins (id),
    ok INTEGER NOT NULL,
    samples TEXT NOT NULL, -- JSON object
    error TEXT NOT NULL,
    size INTEGER NOT NULL -- bytes that this row counts against the size of the history
);
