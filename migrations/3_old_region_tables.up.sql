-- Copies results into events from the tables of older releases, which held one region each (mdw, fra, sin, …).
-- The old tables stay as they are. A result without a valid time gets 1970-01-01. A row that names no
-- orchestrator is not copied, with a warning.
DO $$
DECLARE
    old record;
    rows_left bigint;
BEGIN
    FOR old IN
        SELECT DISTINCT t.table_name, r.name AS region
        FROM information_schema.tables t
        JOIN information_schema.columns c USING (table_schema, table_name)
        JOIN regions r ON lower(r.name) = lower(t.table_name)
        WHERE t.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
          AND c.column_name = 'stats' AND c.data_type = 'jsonb'
        ORDER BY t.table_name
    LOOP
        -- the region may be registered for transcoding only, and its AI results must not be lost
        EXECUTE format(
            'INSERT INTO regions (name, display_name, job_type_id)
             SELECT r.name, r.display_name, ai.id
             FROM regions r JOIN job_types t ON t.id = r.job_type_id AND t.name = ''transcoding'',
                  job_types ai
             WHERE r.name = %1$L AND ai.name = ''ai''
               AND EXISTS (SELECT FROM %2$I WHERE stats->>''pipeline'' <> '''' OR stats->>''model'' <> '''')
             ON CONFLICT DO NOTHING',
            old.region, old.table_name);
        EXECUTE format(
            'INSERT INTO events (event_time, orchestrator, region_id, payload)
             SELECT to_timestamp(CASE
                        WHEN jsonb_typeof(stats->''timestamp'') = ''number''
                         AND (stats->>''timestamp'')::numeric BETWEEN 0 AND 1e11
                        THEN (stats->>''timestamp'')::float8 ELSE 0 END),
                    lower(stats->>''orchestrator''), r.id, stats
             FROM %2$I
             JOIN job_types t ON t.name = CASE
                 WHEN stats->>''pipeline'' <> '''' OR stats->>''model'' <> '''' THEN ''ai'' ELSE ''transcoding'' END
             JOIN regions r ON r.name = %1$L AND r.job_type_id = t.id
             WHERE length(stats->>''orchestrator'') <= 56
             ORDER BY 1',
            old.region, old.table_name);
        EXECUTE format(
            'SELECT count(*) FROM %I WHERE length(stats->>''orchestrator'') <= 56 IS NOT TRUE', old.table_name)
        INTO rows_left;
        IF rows_left > 0 THEN
            RAISE WARNING '% rows of the old table % name no orchestrator and stay there', rows_left, old.table_name;
        END IF;
    END LOOP;
END
$$;
