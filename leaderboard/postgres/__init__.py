"""PostgreSQL: connecting, the pool, migrations, and the server of our own."""
