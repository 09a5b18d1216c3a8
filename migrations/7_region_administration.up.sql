-- Two AI regions that testers post from, regions that take no more results, and how many results were refused.
-- a transaction that has read regions and stays open must not block all others by way of this one
SET LOCAL lock_timeout = '2s';

-- NULL: the region takes results
ALTER TABLE regions ADD COLUMN IF NOT EXISTS retired_at timestamptz;

-- Posts that were refused because their region is not registered for their job type, or retired. Registering the
-- region deletes its row, and so does time.
CREATE TABLE IF NOT EXISTS refused_regions (
    name varchar(56) NOT NULL,
    job_type varchar(56) NOT NULL,
    posts bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (name, job_type)
);

INSERT INTO regions (name, display_name, job_type_id)
SELECT seed.name, seed.display_name, job_types.id
FROM (VALUES (1, 'SEA', 'Seattle'), (2, 'NYC', 'New York City')) AS seed (number, name, display_name)
JOIN job_types ON job_types.name = 'ai'
-- they may have been added by hand, in any case
WHERE NOT EXISTS (SELECT FROM regions WHERE upper(regions.name) = seed.name AND job_type_id = job_types.id)
ORDER BY seed.number
ON CONFLICT DO NOTHING;
