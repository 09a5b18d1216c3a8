CREATE TABLE job_types (
    id   serial PRIMARY KEY,
    name varchar(56) NOT NULL UNIQUE
);

CREATE TABLE regions (
    id           serial PRIMARY KEY,
    name         varchar(56) NOT NULL,
    display_name varchar(128) NOT NULL,
    job_type_id  integer REFERENCES job_types (id),
    UNIQUE (name, job_type_id)
);

CREATE TABLE events (
    id           serial PRIMARY KEY,
    event_time   timestamptz NOT NULL DEFAULT now(),
    orchestrator varchar(56) NOT NULL,
    region_id    integer REFERENCES regions (id),
    payload      jsonb NOT NULL
);

CREATE INDEX events_region_id ON events (region_id);
CREATE INDEX events_orchestrator ON events (orchestrator);
CREATE INDEX events_event_time ON events (event_time);
CREATE INDEX events_pipeline ON events ((payload->>'pipeline'));
CREATE INDEX events_model ON events ((payload->>'model'));

CREATE VIEW event_details AS
SELECT
    regions.name AS region_name,
    job_types.name AS job_type_name,
    events.id,
    events.event_time,
    (events.payload->>'success_rate')::float8 AS success_rate,
    (events.payload->>'seg_duration')::float8 AS seg_duration,
    (events.payload->>'round_trip_time')::float8 AS round_trip_time,
    events.orchestrator,
    events.payload
FROM events
JOIN regions ON regions.id = events.region_id
JOIN job_types ON job_types.id = regions.job_type_id;
