"""Spans of time that operators leave out of scores."""
