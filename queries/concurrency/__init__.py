"""Time-outs for blocking calls, and calls that several callers share."""
