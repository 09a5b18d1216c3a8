"""Exports: events, results and scores as files or Delta tables, for schedulers and analysts."""
