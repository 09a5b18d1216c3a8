"""Benchmarks of the service against plain SQL over the same database."""
