"""The results that testers post: checked, stored, and completed when they are read."""
