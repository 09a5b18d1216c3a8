-- what people entered stays; nobody else uses the table
DO $$
BEGIN
    IF to_regclass('exclusions') IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM exclusions) THEN
            DROP TABLE exclusions;
        END IF;
    END IF;
END
$$;
