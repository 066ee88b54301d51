"""Backups: a database's rows, in a form that SQLite and PostgreSQL both take, and the bytes that they name."""

from service.backup.making import Backup
from service.backup.restoring import Restore

__all__ = ["Backup", "Restore"]
