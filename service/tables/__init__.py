"""The ORM: what the database holds."""

from service.tables.base import Among, Base, UtcDateTime, by_dialect, one_or_many, table_of
from service.tables.campaign import Checkpoint, Image, ImageGroup, Project
from service.tables.gold import GoldTurn
from service.tables.hints import RegionHints
from service.tables.labelling import Label, Lease, Region, Round
from service.tables.people import Annotator, BrowserSession, Membership, Token
from service.tables.quality import ClassChange, Comparison, Review
from service.tables.records import BlobRemoval, Event, EventArchive, RemovalHold
from service.tables.secrets import Secret
from service.tables.work import Job, JobLine, WorkerHost

__all__ = [
    "Among",
    "Annotator",
    "Base",
    "BlobRemoval",
    "BrowserSession",
    "Checkpoint",
    "ClassChange",
    "Comparison",
    "Event",
    "EventArchive",
    "GoldTurn",
    "Image",
    "ImageGroup",
    "Job",
    "JobLine",
    "Label",
    "Lease",
    "Membership",
    "Project",
    "Region",
    "RegionHints",
    "RemovalHold",
    "Review",
    "Round",
    "Secret",
    "Token",
    "UtcDateTime",
    "WorkerHost",
    "by_dialect",
    "one_or_many",
    "table_of",
]
