"""The regions from which jobs are tested."""
