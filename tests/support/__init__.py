"""Helpers that tests share: servers, commands and waiting."""
