-- Spans of time whose results are left out of scores: those of a region with since <= event_time < until. The region is
-- a code, since events have it and may outlive the row in regions; a job_type of null means both. What was removed stays
-- here, so that anybody can see who left out what, and when.
CREATE TABLE IF NOT EXISTS exclusions (
    id serial PRIMARY KEY,
    region varchar(56) NOT NULL,
    job_type varchar(56),
    since timestamptz NOT NULL CHECK (since >= '0001-01-01 00:00:00+00'),
    until timestamptz NOT NULL CHECK (until <= '9999-12-31 23:59:59+00'),
    reason text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    added_by text NOT NULL,
    removed_at timestamptz,
    removed_by text,
    CHECK (since < until),
    CHECK ((removed_at IS NULL) = (removed_by IS NULL))
);
