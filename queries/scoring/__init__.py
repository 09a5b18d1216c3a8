"""How results become scores: the formulas, what of each event counts, and the groups that are scored."""
