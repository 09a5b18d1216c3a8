"""The page of one orchestrator, its badge and its feed."""
