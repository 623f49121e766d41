-- Entities, apart from instances, so that no query for those meets them. Their messages are in the inbox, too.
CREATE TABLE entities (
    number INTEGER PRIMARY KEY,
    hub TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    has_state INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    lock_instance TEXT,
    lock_execution TEXT,
    lock_section TEXT,
    turn INTEGER NOT NULL,
    UNIQUE (hub, instance_id)
);

-- Apart, for they can be large, and a list of entities does without them.
CREATE TABLE entity_states (
    entity INTEGER PRIMARY KEY,
    state TEXT NOT NULL
);

ALTER TABLE tasks ADD COLUMN caller_version TEXT;
