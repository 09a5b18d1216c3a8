-- Since the lake has them, events that were received before this moment may have been deleted here; one row or none.
CREATE TABLE IF NOT EXISTS pruned (before timestamptz NOT NULL);
