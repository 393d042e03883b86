"""Django's PostgreSQL backend, with a cheaper check whether a connection is still open."""
