"""The ORM: what the database holds."""

from service.tables.base import Base, UtcDateTime
from service.tables.campaign import Checkpoint, Image, ImageGroup, Project
from service.tables.labelling import Label, Lease, Region, Round
from service.tables.people import Annotator, BrowserSession, Membership, Token
from service.tables.records import BlobRemoval, Event, EventArchive, RemovalHold
from service.tables.secrets import Secret
from service.tables.work import Job, WorkerHost

__all__ = [
    "Annotator",
    "Base",
    "BlobRemoval",
    "BrowserSession",
    "Checkpoint",
    "Event",
    "EventArchive",
    "Image",
    "ImageGroup",
    "Job",
    "Label",
    "Lease",
    "Membership",
    "Project",
    "Region",
    "RemovalHold",
    "Round",
    "Secret",
    "Token",
    "UtcDateTime",
    "WorkerHost",
]
