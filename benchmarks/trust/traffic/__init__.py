"""Posters and readers, and the ledger that every answer is compared with."""
