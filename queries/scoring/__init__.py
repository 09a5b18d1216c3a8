"""The formulas of the scores, and the groups that they are computed over."""
