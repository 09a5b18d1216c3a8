-- A region or job type that something still refers to stays.
DELETE FROM regions WHERE NOT EXISTS (SELECT FROM events WHERE events.region_id = regions.id);
DELETE FROM job_types WHERE NOT EXISTS (SELECT FROM regions WHERE regions.job_type_id = job_types.id);
