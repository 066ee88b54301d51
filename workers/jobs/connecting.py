"""A process's way to the service's rows and files, as its settings say."""

from datetime import UTC, datetime

from service.blobs import Blobs
from service.db import Database
from service.settings import Settings
from workers.jobs.delivery import Worker
from workers.training.device import resolve_device
from workers.training.feature_cache import FeatureCache
from workers.training.looking import keep_features


def worker_of(settings: Settings, database: Database) -> Worker:
    """What the jobs of this process share: database, blobs, device, and features of images, kept as the settings say."""
    folder, disk, memory = settings.resolved_feature_dir, settings.feature_disk_bytes, settings.feature_memory_bytes
    keep_features(FeatureCache(folder, disk_bytes=disk, memory_bytes=memory))
    return Worker(
        database=database,
        blobs=Blobs(settings.resolved_blob_url),
        settings=settings,
        clock=lambda: datetime.now(UTC),
        device=resolve_device(settings.device),
    )
