"""The endpoints of the JSON API: each view parses, calls and renders."""
