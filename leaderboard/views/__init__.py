"""The endpoints: each view parses, calls and renders."""
