-- The UTC days whose stored events were updated or deleted, as days since 1970, so that readers see the change when it
-- is committed and read only these days again. Rows are kept for a day. ALL_DAYS (-2147483648) stands for every day.
-- a transaction that has written events and stays open must not block all others by way of this one
SET LOCAL lock_timeout = '2s';

CREATE TABLE IF NOT EXISTS event_changes (
    made_by bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    day bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (made_by, day)
);

CREATE OR REPLACE FUNCTION note_event_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    moments timestamptz[];
    changed bigint[] := '{-2147483648}';
BEGIN
    IF TG_TABLE_NAME = 'events' THEN
        moments := ARRAY[OLD.event_time];
        IF TG_OP = 'UPDATE' THEN
            moments := moments || NEW.event_time;
        END IF;
        changed := ARRAY(SELECT DISTINCT floor(extract(epoch FROM moment) / 86400)::bigint
                         FROM unnest(moments) moment WHERE isfinite(moment));
    END IF;
    -- most rows are of the same day as the row before
    IF current_setting('leaderboard.changed', true) IS DISTINCT FROM concat(TG_RELID, changed::text) THEN
        INSERT INTO event_changes (day) SELECT unnest(changed) ON CONFLICT DO NOTHING;
        PERFORM set_config('leaderboard.changed', concat(TG_RELID, changed::text), true);
        -- nobody waits for another transaction's lock here
        DELETE FROM event_changes WHERE (made_by, day) IN (
            SELECT made_by, day FROM event_changes WHERE made_at < now() - interval '1 day'
            LIMIT 1000 FOR UPDATE SKIP LOCKED);
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER IF EXISTS note_event_change ON events;
DROP TRIGGER IF EXISTS note_event_change ON regions;
DROP TRIGGER IF EXISTS note_event_change ON job_types;
CREATE TRIGGER note_event_change BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION note_event_change();
CREATE TRIGGER note_event_change BEFORE UPDATE OF name, job_type_id OR DELETE ON regions
    FOR EACH ROW EXECUTE FUNCTION note_event_change();
CREATE TRIGGER note_event_change BEFORE UPDATE OF name OR DELETE ON job_types
    FOR EACH ROW EXECUTE FUNCTION note_event_change();
-- also for what logical replication brings
ALTER TABLE events ENABLE ALWAYS TRIGGER note_event_change;
ALTER TABLE regions ENABLE ALWAYS TRIGGER note_event_change;
ALTER TABLE job_types ENABLE ALWAYS TRIGGER note_event_change;
