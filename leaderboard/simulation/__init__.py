"""Simulated results, for trying the service and measuring it."""
