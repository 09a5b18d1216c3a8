"""The regions that jobs are tested from."""
