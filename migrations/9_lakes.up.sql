-- The highest id of what may have been deleted. A lake that does not reach it lacks some of that. Null if an older release
-- pruned: then every lake of that time has it all.
ALTER TABLE pruned ADD COLUMN IF NOT EXISTS max_id bigint;

-- The lakes of this database, and when each was last synced. Nothing is pruned that one of them still lacks.
CREATE TABLE IF NOT EXISTS lakes (
    id text PRIMARY KEY,
    place text NOT NULL,
    watermark bigint NOT NULL,
    synced_at timestamptz NOT NULL DEFAULT now()
);
