-- no transaction
-- An index for the results of one orchestrator in a window of time. Addresses may have been stored in any case.
-- An interrupted attempt leaves an index that is not valid.
DROP INDEX CONCURRENTLY IF EXISTS events_orchestrator_time;
CREATE INDEX CONCURRENTLY events_orchestrator_time ON events (lower(orchestrator), event_time);
