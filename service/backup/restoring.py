"""Brings a backup back: bytes first, then all rows or none, then this release's schema."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from sqlalchemy import make_url

from service import migrate
from service.backup.place import NEWEST, Manifest, opened, sound, unpack
from service.blobs import Blobs
from service.engines import make_engine
from service.store import copying, recovery


class HoldsRows(ValueError):
    """The database that was to be restored into holds something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A backup at a place, `source`, restored into the database at `url`, of either kind, and the blobs.

    `name` is a backup's, the newest if it is empty. A database that holds anything is refused, unless `force` is its name.
    """

    source: str
    url: str
    blobs: Blobs
    name: str = ""
    force: str = ""
    told: Callable[[int, int], None] = lambda done, total: None

    def run(self) -> Manifest:
        """Restore it; returns what it held. Raises ValueError for a backup that is damaged or of a later release.

        A restore that breaks off has added bytes and no rows, and is done again by the same command.
        """
        place = opened(self.source)
        manifest = self._manifest(place)
        if not migrate.knows(manifest.revision):
            raise ValueError(
                f"The backup was made by regionwise {manifest.release}, whose schema {manifest.revision} this release does not "
                "know: restore it with that release or a later one."
            )
        self._require_free()
        for _ in unpack(manifest.row_parts, place):  # whole, before anything is changed
            pass
        self._restore_blobs(place, manifest)
        if self._holds():
            migrate.downgrade(self.url, "base")
        self._restore_rows(place, manifest)
        return manifest

    def _manifest(self, place: Blobs) -> Manifest:
        try:
            name = self.name or place.get(NEWEST).decode()
            return Manifest.of(place.get(f"{name}/backup.json"))
        except FileNotFoundError as error:
            what = f"no backup {self.name}" if self.name else "no backup that was completed"
            raise ValueError(f"There is {what} at {self.source}.") from error

    def _require_free(self) -> None:
        address = make_url(self.url)
        name = PurePath(address.database or "").name
        if self.force and self.force != name:
            raise ValueError(f"--force names {self.force}, and the database is {name}.")
        if not self.force and (held := self._holds()):
            listed = ", ".join(f"{count} {table}" for table, count in held.items())
            raise HoldsRows(
                f"The database {name} holds {listed}. Restore into another (REGIONWISE_DATABASE_URL), or stop "
                f"the service and say --force {name}: all that is there is lost then."
            )

    def _holds(self) -> dict[str, int]:
        """How many rows the tables of the database have that have any."""
        if not migrate.exists(self.url):
            return {}
        engine = make_engine(self.url)
        try:
            with engine.connect() as connection:
                return {name: count for name, count in copying.row_counts(connection).items() if count}
        finally:
            engine.dispose()

    def _restore_blobs(self, place: Blobs, manifest: Manifest) -> None:
        missing = set(manifest.missing)
        keys = [key for key in unpack(manifest.key_parts, place) if key not in missing]
        for done, key in enumerate(keys):
            self.told(done, len(keys))
            if self.blobs.exists(key) and sound(key, self.blobs.get(key)):
                continue
            data = place.get(f"blobs/{key}")
            if not sound(key, data):
                raise ValueError(f"blobs/{key} of the backup is damaged: its digest is another.")
            self.blobs.replace(key, data)
        self.told(len(keys), len(keys))

    def _restore_rows(self, place: Blobs, manifest: Manifest) -> None:
        migrate.upgrade(self.url, manifest.revision)
        with migrate.writing(self.url) as connection:
            counts = copying.load(connection, unpack(manifest.row_parts, place))
            if counts != manifest.rows or copying.stray_rows(connection):
                raise ValueError("The backup is damaged: it has other rows than it says.")
            copying.give_from(connection, manifest.numbers)
        migrate.upgrade(self.url)
        with migrate.writing(self.url) as connection:
            recovery.set_back_restored(connection)
