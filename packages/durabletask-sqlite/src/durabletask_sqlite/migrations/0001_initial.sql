-- What readers see of an instance, and what conditions ask about. Small, for every turn rewrites it. What grows with an instance
-- hangs on `number`, which rises, so that what is written now lies together, however many instances there have been.
CREATE TABLE instances (
    number INTEGER PRIMARY KEY,
    hub TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    status INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    scheduled_at INTEGER,
    output TEXT,
    custom_status TEXT,
    failure BLOB,
    tags TEXT,
    parent_id TEXT,
    turn INTEGER NOT NULL,
    turn_context BLOB,
    UNIQUE (hub, instance_id)
);

CREATE INDEX instances_by_creation ON instances (hub, created_at, instance_id);
CREATE INDEX instances_by_status ON instances (hub, status, created_at, instance_id);
CREATE INDEX instances_by_completion ON instances (hub, completed_at, instance_id) WHERE completed_at IS NOT NULL;
CREATE INDEX instances_by_parent ON instances (hub, parent_id) WHERE parent_id IS NOT NULL;

-- Apart, so that a turn does not rewrite what never changes and can be large.
CREATE TABLE inputs (
    instance INTEGER PRIMARY KEY,
    input TEXT NOT NULL
);

-- One row a turn. With a rowid, for without one what is over a kilobyte would take a page of its own.
CREATE TABLE history (
    instance INTEGER NOT NULL,
    first INTEGER NOT NULL,
    length INTEGER NOT NULL,
    events BLOB NOT NULL,
    PRIMARY KEY (instance, first)
);

-- Messages that no turn has taken. Only what is live is here, and in tasks.
CREATE TABLE inbox (
    sequence INTEGER PRIMARY KEY,
    hub TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    execution_id TEXT,
    due_at INTEGER,
    front INTEGER NOT NULL,
    payload BLOB NOT NULL
);

CREATE INDEX inbox_by_instance ON inbox (hub, instance_id, due_at);
CREATE INDEX inbox_by_due_time ON inbox (due_at, sequence) WHERE due_at IS NOT NULL;

CREATE TABLE tasks (
    hub TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    version TEXT,
    out INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (hub, instance_id, execution_id, task_id)
) WITHOUT ROWID;

CREATE TABLE hubs (
    name TEXT PRIMARY KEY,
    secret BLOB NOT NULL
) WITHOUT ROWID;

-- The one owner, its last batch, and the first message sequence that was never used.
CREATE TABLE owner (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    batch TEXT,
    outcomes TEXT,
    next_sequence INTEGER NOT NULL
);

INSERT INTO owner (only, name, epoch, next_sequence) VALUES (1, '', 0, 1);
