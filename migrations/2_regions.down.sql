-- Regions that have events stay, and so do job types that have regions.
DELETE FROM regions WHERE NOT EXISTS (SELECT FROM events WHERE events.region_id = regions.id);
DELETE FROM job_types WHERE NOT EXISTS (SELECT FROM regions WHERE regions.job_type_id = job_types.id);
