"""What must hold after a run, looked for in the database, the blobs and the annotators' memory: a sentence for what does not."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, create_engine, text

from service.blobs import Blobs
from service.domain.masks import decode_png
from tests.chaos.installation import Installation
from tests.chaos.journal import Hold, Journal, Sent
from tests.chaos.run import Course

_SHOWN = 5  # of each kind of fault
_FORGOTTEN = 3.0
"""Seconds before a crash of PostgreSQL within which a lease was perhaps given that it has forgotten."""
_CLOCK = 2.0
"""Seconds by which a moment of the service's clock is known."""


def faults(installation: Installation, journal: Journal, course: Course) -> list[str]:
    """Everything that does not hold. The installation is stopped, but for PostgreSQL."""
    found = list(_said(journal, course))
    engine = create_engine(installation.url)
    try:
        with engine.connect() as connection:
            gold = _rows(connection, installation, "SELECT id FROM regions WHERE project_id = :project AND gold")
            found += _held_by_too_many(installation, journal, course, {id for (id,) in gold})
            for check in (_labels, _regions, _rounds, _jobs, _bytes):
                found += list(check(connection, installation, journal))[:_SHOWN]
    finally:
        engine.dispose()
    return found


def _rows(connection: Connection, installation: Installation, statement: str) -> list[Any]:
    return list(connection.execute(text(statement), {"project": installation.project}))


def _said(journal: Journal, course: Course) -> Iterator[str]:
    if not course.finished:
        yield "The campaign did not come to its end."
    yield from (f"An answer that nobody should get: {each}" for each in journal.unexpected[:_SHOWN])
    if journal.labelled == 0:
        yield "Not a single label was accepted."


def _labels(connection: Connection, installation: Installation, journal: Journal) -> Iterator[str]:
    """Every accepted label is there once, with its pixels; and none that nobody sent."""
    rows = _rows(
        connection,
        installation,
        "SELECT l.*, r.gold FROM labels l JOIN regions r ON r.id = l.region_id WHERE r.project_id = :project ORDER BY l.id",
    )
    # Of a gold region everybody's own versions are counted, as if nobody else had labelled it.
    own = Counter[tuple[int, int]]()
    kept = {}
    for row in rows:
        own[row.region_id, row.annotator_id] += 1
        version = own[row.region_id, row.annotator_id] if row.gold else row.version
        kept[row.id] = (row.region_id, row.annotator_id, version, _pixels(row.mask))
    for each in journal.accepted:
        if kept.get(each.id) != (each.region, each.annotator, each.version, each.pixels):
            there = "is not there" if each.id not in kept else "is another one"
            yield f"Label {each.id} of region {each.region} by annotator {each.annotator} was accepted, and {there}."
    # Versions of another kind are made of those that people drew.
    drawn = [row.id for row in rows if getattr(row, "kind", "annotated") == "annotated"]
    times = Counter((region, who, pixels) for region, who, _, pixels in map(kept.__getitem__, drawn))
    for (region, who, pixels), count in times.items():
        if count > 1:
            yield f"The label of region {region} by annotator {who} is there {count} times."
        if Sent(region=region, annotator=who, pixels=pixels) not in journal.sent:
            yield f"Region {region} has a label by annotator {who} that they never sent."
    (events,) = _rows(
        connection,
        installation,
        "SELECT count(*) FROM events WHERE project_id = :project AND kind = 'region_labelled'",
    )[0]
    if not installation.options.reviewed and not installation.options.settings and events != len(kept):
        yield f"There are {len(kept)} labels, and events of {events}."


def _pixels(mask: bytes) -> str:
    return hashlib.sha256(decode_png(mask, max_pixels=1 << 20).tobytes()).hexdigest()


def _regions(connection: Connection, installation: Installation, journal: Journal) -> Iterator[str]:
    """Every region is labelled by as many as it wanted, or set aside, and nobody holds it."""
    overlap = installation.options.overlap
    rows = _rows(
        connection,
        installation,
        "SELECT r.id, r.state, (SELECT count(DISTINCT annotator_id) FROM labels l WHERE l.region_id = r.id) FROM regions r"
        " JOIN rounds o ON o.id = r.round_id WHERE r.project_id = :project AND coalesce(o.strategy, '') <> 'gold'",
    )
    for id, state, labelled_by in rows:
        if state not in ("labelled", "skipped"):
            yield f"Region {id} is still {state}."
        if state == "labelled" and not labelled_by:
            yield f"Region {id} is labelled, and has no label."
        if labelled_by > overlap + installation.options.reviewed:
            yield f"Region {id} has labels by {labelled_by} people."
    labelled = sum(state == "labelled" for _, state, _ in rows)
    if not installation.options.reviewed and labelled != installation.options.regions:
        yield f"{labelled} regions are labelled, and {installation.options.regions} were asked for."
    open_leases = _rows(
        connection,
        installation,
        "SELECT e.region_id, count(*) FROM leases e JOIN regions r ON r.id = e.region_id"
        " WHERE r.project_id = :project AND e.ended_at IS NULL AND r.state <> 'open' AND NOT r.gold GROUP BY e.region_id",
    )
    yield from (f"Region {id} is decided, and {count} leases of it have no end." for id, count in open_leases)


def _rounds(connection: Connection, installation: Installation, journal: Journal) -> Iterator[str]:
    rows = _rows(
        connection,
        installation,
        "SELECT number, state FROM rounds WHERE project_id = :project AND coalesce(strategy, '') <> 'gold' ORDER BY number",
    )
    yield from (f"Round {number} has not ended: it is {state}." for number, state in rows if state != "told")
    if [number for number, _ in rows] != list(range(1, len(rows) + 1)):
        yield f"Rounds are numbered {[number for number, _ in rows]}."


def _jobs(connection: Connection, installation: Installation, journal: Journal) -> Iterator[str]:
    rows = _rows(connection, installation, "SELECT id, kind, state, error FROM jobs WHERE project_id = :project")
    yield from (f"Job {id} ({kind}) is {state}: {error}" for id, kind, state, error in rows if state != "done")


def _bytes(connection: Connection, installation: Installation, journal: Journal) -> Iterator[str]:
    """What rows name is there."""
    blobs = Blobs((installation.disk.folder / "blobs").as_uri())
    keys = _rows(
        connection,
        installation,
        "SELECT blob_key FROM images WHERE project_id = :project UNION SELECT blob_key FROM checkpoints"
        " WHERE project_id = :project AND weights_gone_at IS NULL",
    )
    for (key,) in keys:
        if not blobs.exists(key):
            yield f"The bytes of {key} are gone."
        elif hashlib.sha256(blobs.get(key)).hexdigest() not in key:
            yield f"The bytes of {key} are others."


def _held_by_too_many(
    installation: Installation, journal: Journal, course: Course, gold: Collection[int] = ()
) -> Iterator[str]:
    """Nobody was given a region, but for gold ones, while as many others as it wanted were sure to hold it."""
    by_region: defaultdict[int, list[Hold]] = defaultdict(list)
    for hold in journal.holds:
        by_region[hold.region].append(hold)

    def surely(hold: Hold, new: Hold) -> bool:
        if hold.annotator == new.annotator or hold.told >= new.asked or hold.given_up <= new.told:
            return False
        if installation.clock.latest(hold.asked - _CLOCK, new.told) > hold.expires - _CLOCK:
            return False
        return not any(hold.asked <= crash <= hold.told + _FORGOTTEN for crash in course.crashes)

    for region, holds in by_region.items():
        for new in [] if region in gold else holds:
            others = {hold.annotator for hold in holds if surely(hold, new)}
            if len(others) >= installation.options.overlap:
                yield f"Region {region} was given to annotator {new.annotator} while {sorted(others)} held it."
