"""Makes a backup while the service goes on: rows as they are at one moment, then the bytes that they name."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from service import migrate, references
from service.backup.place import NEWEST, Manifest, Place, Tar, is_tar, opened, pack, sound, unpack
from service.blobs import Blobs
from service.db import Database
from service.store import copying, removals

_HELD = timedelta(minutes=30)
_RENEWED_AFTER = 60.0

Told = Callable[[int, int], None]
"""Called with how many blobs are done with, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that is there: what it holds, and how many blobs were copied, which others were there already."""

    manifest: Manifest
    copied: int
    copied_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup of a database and its blobs to a place, `to`: a folder, an fsspec URL, or a new .tar file.

    Whatever was committed before the rows are read is in it, whole, and nothing else. Bytes are written before rows and never
    changed, so those that rows name are there; from before the rows are read until all is copied none are removed.
    """

    database: Database
    blobs: Blobs
    to: str
    clock: Callable[[], datetime]
    told: Told = lambda done, total: None

    def run(self) -> Made:
        """Make it. Raises ValueError where the database is not at this release's schema, OSError where a place fails."""
        self._require_schema()
        hold = _Hold(self.database, self.clock)
        try:
            if not is_tar(self.to):
                return self._written(opened(self.to), opened(self.to), hold)
            part = Path(f"{self.to}.part")
            if Path(self.to).exists():
                raise FileExistsError(f"{self.to} is there already; name another file.")
            part.unlink(missing_ok=True)
            tar = Tar(part)
            try:
                made = self._written(tar, None, hold)
            finally:
                tar.close()
            part.rename(self.to)
            return made
        finally:
            hold.end()

    def _require_schema(self) -> None:
        url = self.database.engine.url.render_as_string(hide_password=False)
        if not migrate.exists(url):
            raise ValueError("There is no database to copy: see REGIONWISE_DATABASE_URL and REGIONWISE_DATA_DIR.")
        with self.database.engine.connect() as connection:
            revision = migrate.known(connection)
        if revision != migrate.head():
            raise ValueError(
                f"The database is at {revision}, this release at {migrate.head()}: run `regionwise migrate`."
            )

    def _written(self, place: Place, readable: Blobs | None, hold: "_Hold") -> Made:
        name = self.clock().strftime("%Y%m%dT%H%M%S%fZ")
        keys: list[str] = []
        with self.database.snapshot() as session:
            connection = session.connection()
            keys.extend(sorted(set(copying.named_bytes(session))))
            rows, numbers = copying.row_counts(connection), copying.numbers_given(connection)
            row_parts = pack(hold.renewed_by(copying.written(connection)), f"{name}/rows", place)
        stored = [key for key in keys if not references.is_reference(key)]
        copied, size, missing = 0, 0, list[str]()
        for done, key in enumerate(stored):
            self.told(done, len(stored))
            hold.renew()
            if place.exists(f"blobs/{key}"):
                continue
            data = self._read(key)
            if data is None:
                missing.append(key)
                continue
            place.put(f"blobs/{key}", data)
            copied, size = copied + 1, size + len(data)
        self.told(len(stored), len(stored))
        manifest = Manifest(
            name=name,
            release=version("regionwise"),
            revision=migrate.head() or "",
            made_at=self.clock().isoformat(),
            database=self.database.engine.dialect.name,
            rows=rows,
            numbers=numbers,
            row_parts=row_parts,
            key_parts=pack(stored, f"{name}/blobs", place),
            blobs=len(stored) - len(missing),
            missing=missing,
        )
        if readable is not None:
            for _ in unpack(manifest.row_parts, readable):
                pass
        # Last: what has no manifest is no backup.
        place.replace(f"{name}/backup.json", manifest.to_bytes())
        place.replace(NEWEST, name.encode())
        return Made(manifest=manifest, copied=copied, copied_bytes=size)

    def _read(self, key: str) -> bytes | None:
        """The bytes of a key; None where they are lost or not those that the key names."""
        try:
            data = self.blobs.get(key)
        except FileNotFoundError:
            return None
        return data if sound(key, data) else None


class _Hold:
    """Keeps the service from removing bytes, for as long as it is renewed."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        with database.write() as session:
            self._id = removals.hold(session, "backup", clock() + _HELD)
        self._renewed = time.monotonic()

    def renewed_by(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines, however long it takes to read them."""
        for line in lines:
            self.renew()
            yield line

    def renew(self) -> None:
        """Once a minute at most."""
        if time.monotonic() - self._renewed > _RENEWED_AFTER:
            with self._database.write() as session:
                removals.prolong(session, self._id, self._clock() + _HELD)
            self._renewed = time.monotonic()

    def end(self) -> None:
        with self._database.write() as session:
            removals.release(session, self._id)
