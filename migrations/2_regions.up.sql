INSERT INTO job_types (name) VALUES ('transcoding'), ('ai') ON CONFLICT DO NOTHING;

INSERT INTO regions (name, display_name, job_type_id)
SELECT name, display_name, (SELECT id FROM job_types WHERE job_types.name = seed.job_type)
FROM (VALUES
    ('GLOBAL', 'Global', 'transcoding'),
    ('GLOBAL', 'Global', 'ai'),
    ('ATL', 'Atlanta', 'transcoding'),
    ('ATL2', 'Atlanta 2', 'transcoding'),
    ('MDW', 'Chicago', 'transcoding'),
    ('MDW', 'Chicago', 'ai'),
    ('FRA', 'Frankfurt', 'transcoding'),
    ('FRA', 'Frankfurt', 'ai'),
    ('HOU', 'Houston', 'transcoding'),
    ('LON', 'London', 'transcoding'),
    ('LAX', 'Los Angeles', 'transcoding'),
    ('LAX', 'Los Angeles', 'ai'),
    ('MAD', 'Madrid', 'transcoding'),
    ('MIA', 'Miami', 'transcoding'),
    ('MOS2', 'Moscow', 'transcoding'),
    ('ASH', 'Nashua', 'transcoding'),
    ('NYC', 'New York City', 'transcoding'),
    ('PRG', 'Prague', 'transcoding'),
    ('SJO', 'San Jose', 'transcoding'),
    ('SAO', 'São Paulo', 'transcoding'),
    ('SEA', 'Seattle', 'transcoding'),
    ('SIN', 'Singapore', 'transcoding'),
    ('STO', 'Stockholm', 'transcoding'),
    ('SYD', 'Sydney', 'transcoding'),
    ('HND', 'Tokyo', 'transcoding'),
    ('TOR', 'Toronto', 'transcoding')
) AS seed (name, display_name, job_type)
ON CONFLICT DO NOTHING;
