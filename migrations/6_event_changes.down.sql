DROP TRIGGER IF EXISTS note_event_change ON job_types;
DROP TRIGGER IF EXISTS note_event_change ON regions;
DROP TRIGGER IF EXISTS note_event_change ON events;
DROP FUNCTION IF EXISTS note_event_change();
DROP TABLE IF EXISTS event_changes;
