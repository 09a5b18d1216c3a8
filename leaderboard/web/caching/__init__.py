"""The cache of responses: where it keeps them, how they are encoded, and what happens while it fails."""
