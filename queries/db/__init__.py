"""Connections to PostgreSQL: a pool that returns Arrow tables, and one direct connection."""
