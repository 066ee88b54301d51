"""One chain of revisions for SQLite and PostgreSQL."""
