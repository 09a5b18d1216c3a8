"""The lake: a Delta table to which the settled events of a database are exported."""
