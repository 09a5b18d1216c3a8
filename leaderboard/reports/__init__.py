"""Reports: the project's notebooks, run with given parameters and written as self-contained pages."""
