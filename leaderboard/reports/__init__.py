"""Reports: notebooks run with values of one's own, as pages that need nothing beside them."""
