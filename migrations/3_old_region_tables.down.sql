-- Deletes the events that were copied: those that an old table has with the same payload and time.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN
        SELECT DISTINCT t.table_name, r.name AS region
        FROM information_schema.tables t
        JOIN information_schema.columns c USING (table_schema, table_name)
        JOIN regions r ON lower(r.name) = lower(t.table_name)
        WHERE t.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
          AND c.column_name = 'stats' AND c.data_type = 'jsonb'
    LOOP
        EXECUTE format(
            'DELETE FROM events USING %2$I o, regions r
             WHERE r.id = events.region_id AND r.name = %1$L AND events.payload = o.stats
               AND events.event_time = to_timestamp(CASE
                       WHEN jsonb_typeof(o.stats->''timestamp'') = ''number''
                        AND (o.stats->>''timestamp'')::numeric BETWEEN 0 AND 1e11
                       THEN (o.stats->>''timestamp'')::float8 ELSE 0 END)',
            old.region, old.table_name);
    END LOOP;
END
$$;
