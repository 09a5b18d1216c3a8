DROP INDEX IF EXISTS events_orchestrator_time;
