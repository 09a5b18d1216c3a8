"""Where events come from: a database, its lake, exported files, or several of them."""
