DROP VIEW event_details;
DROP TABLE events;
DROP TABLE regions;
DROP TABLE job_types;
