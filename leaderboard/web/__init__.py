"""The HTTP interface: parameters, responses, caching and errors; the endpoints are in ``api``."""
