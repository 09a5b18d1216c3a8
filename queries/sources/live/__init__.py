"""Recent events in memory: an immutable cache, the backfill of older events, and the refresh at each request."""
