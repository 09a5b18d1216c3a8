DO $$
BEGIN
    IF to_regclass('pruned') IS NOT NULL THEN
        IF EXISTS (SELECT FROM pruned) THEN
            RAISE EXCEPTION 'events were pruned, and only the lake has them; DELETE FROM pruned to give them up';
        END IF;
        DROP TABLE pruned;
    END IF;
END
$$;
