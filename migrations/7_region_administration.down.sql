-- Retired regions take results again. A region that has events stays.
SET LOCAL lock_timeout = '2s';

DELETE FROM regions USING job_types
WHERE job_types.id = job_type_id AND job_types.name = 'ai' AND regions.name IN ('SEA', 'NYC')
  AND NOT EXISTS (SELECT FROM events WHERE events.region_id = regions.id);
DROP TABLE IF EXISTS refused_regions;
ALTER TABLE regions DROP COLUMN IF EXISTS retired_at;
