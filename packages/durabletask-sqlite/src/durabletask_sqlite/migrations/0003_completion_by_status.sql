-- By status, too, so that a page of the failed ones costs the same among however many that did not fail.
DROP INDEX instances_by_completion;
CREATE INDEX instances_by_completion ON instances (hub, status, completed_at, instance_id) WHERE completed_at IS NOT NULL;
