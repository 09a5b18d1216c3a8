-- Events that were received before this moment may have been deleted here, because the lake has them. One row or none.
CREATE TABLE IF NOT EXISTS pruned (before timestamptz NOT NULL);
