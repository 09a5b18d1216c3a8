"""What others do to the events of a database: rows that they change, and transactions that they leave open."""
