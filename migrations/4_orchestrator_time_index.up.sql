-- no transaction
-- Finds the results of one orchestrator in a window of time, in whatever case its address was stored.
-- An index that an attempt was stopped at is there, but not valid.
DROP INDEX CONCURRENTLY IF EXISTS events_orchestrator_time;
CREATE INDEX CONCURRENTLY events_orchestrator_time ON events (lower(orchestrator), event_time);
