"""What the games of a project's policies stand on: its labelled images, its segmenter, and how a round of them goes."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace

from service.schemas.policies import CAME_LAST, PolicySettings
from service.store.rounds import seen_rounds
from service.tables import Checkpoint
from workers.datasets.base import ImageSource, Subset
from workers.files import settings_hash
from workers.jobs.delivery import JobFailed
from workers.jobs.project import ProjectData, labelled_part
from workers.loop.round import LoopSettings
from workers.policy.ground import Ground
from workers.policy.memories import LiveRound, remembered
from workers.training.building import is_of
from workers.training.checkpoints import CheckpointError

log = logging.getLogger(__name__)


def source_of(project: ProjectData) -> Checkpoint:
    """The segmenter that games begin with. Raises JobFailed where it is another than the project's."""
    row = project.latest("source")
    assert row is not None, "a job that has none ended before"
    if project.settings.learning == "refit" and not is_of(project.load_segmenter(row)[0], project.architecture):
        raise JobFailed("The project's segmenter has changed since it was pretrained; run a pretrain job first.")
    return row


def splits_of(project: ProjectData, source: Checkpoint) -> dict[str, ImageSource]:
    """D_T, D_S and D_R as far as they have label maps."""
    train: ImageSource = labelled_part(project.images("train"))
    if source.description.get("source") == "half":
        train = Subset(train, range(1, len(train), 2))
    return {
        "train": train,
        "state": project.images("state"),
        "reward": labelled_part(project.images("reward")),
    }


def loop_of_games(project: ProjectData, settings: PolicySettings) -> LoopSettings:
    """How a round of a policy's games goes."""
    return replace(
        project.loop,
        finer=False,  # no game is long enough for it
        levels=1,  # games are of undivided regions
        cost=None,
        batch_size=settings.batch_size or project.loop.batch_size,
        pool_size=settings.pool_size,
        protocol="per-pool",
    )


def live_rounds(project: ProjectData, settings: PolicySettings) -> list[LiveRound]:
    """The rounds that policies asked for, as they saw them; none for a search, which plays games alone.

    What cannot be read any more is left out: nothing depends on it.
    """
    if settings.searched:
        return []
    with project.worker.database.read() as session:
        seen = seen_rounds(session, project.id)
    found = []
    for each in seen:
        try:
            data = project.worker.blobs.get(each.seen_key)
            found.append(remembered(data, number=each.number, gain=each.gain))
        except (OSError, CheckpointError, KeyError):
            log.warning("What a policy saw of round %d cannot be read, and is left out.", each.number)
    return found


def games_made_of(
    project: ProjectData,
    source: Checkpoint,
    splits: Mapping[str, ImageSource],
    settings: PolicySettings,
    loop: LoopSettings,
) -> str:
    """A hash of what games go by. Of the project's settings just those: others may change while a campaign runs."""
    digests = {split: [images.digest(number) for number in range(len(images))] for split, images in splits.items()}
    goes = {key: each for key, each in asdict(loop).items() if key != "finer"}  # which no game is
    return settings_hash([source.id, digests, settings.keyed(CAME_LAST), goes, project.settings.seed])


def ground_of(
    project: ProjectData, source: Checkpoint, splits: Mapping[str, ImageSource], loop: LoopSettings
) -> Ground:
    """The ground of games that begin with a segmenter."""
    known = [labelled_part(project.images("state"))] if project.settings.learning == "refit" else []
    return Ground(
        splits=splits,
        classes=project.classes,
        start=lambda: project.load_segmenter(source)[0],
        loop=loop,
        device=project.worker.device,
        known=[images for images in known if len(images)],
    )
