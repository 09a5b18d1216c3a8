"""Posts results to a service, as testers do: reading them from a file, in batches, with retries."""
