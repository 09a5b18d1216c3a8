"""The present: recent events kept in memory and brought up to date at each call."""
