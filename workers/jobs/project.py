"""A project's rows as the loop sees them: classes, settings, image sources, the pool and the labels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch

from models.fit import TrainSettings
from models.refit import RefitSettings
from models.segmenter import Segmenter
from service.blobs import Blobs
from service.db import Database
from service.domain.classes import ClassSet
from service.domain.costs import drawing_cost
from service.domain.divided import AnyPool, pool_of
from service.domain.masks import decode_label_png
from service.domain.regions import Grid
from service.pixels import rgb
from service.schemas.project_settings import ProjectSettings
from service.store import checkpoints as checkpoint_store
from service.store import pool as pool_store
from service.store.projects import get_project
from service.tables import Checkpoint, Image, Project
from service.tables import ImageGroup as ImageGroupRow
from workers.datasets.base import ImageSource, Pixels, Subset
from workers.datasets.decoded import DecodedCache
from workers.files import settings_hash
from workers.jobs.delivery import JobFailed, Worker
from workers.loop.labelled import Answer
from workers.loop.round import LoopSettings, group_of
from workers.training.building import Architecture, fresh_segmenter, is_of, stride_for
from workers.training.checkpoints import Checkpoint as Loaded
from workers.training.checkpoints import CheckpointError, Policy, load_policy, load_segmenter


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Images of one size in a split: `first` is the number of the first of them."""

    id: int
    first: int
    count: int
    height: int
    width: int


class ProjectImages:
    """A split of a project as an ImageSource. Each read is a short transaction of its own; pixels come from the blobs."""

    def __init__(
        self, database: Database, blobs: Blobs, classes: ClassSet, groups: list[Group], decoded: DecodedCache[Pixels]
    ) -> None:
        self._database, self._blobs, self._classes = database, blobs, classes
        self.groups, self._decoded = groups, decoded
        # Other classes are other indices of the same label map.
        self._indices = f"indices {settings_hash(classes.to_json())}"
        self._starts = np.array([group.first for group in groups], np.int64)
        self._rows: dict[int, Image] = {}

    def __len__(self) -> int:
        return sum(group.count for group in self.groups)

    def name(self, number: int) -> str:
        return self.row(number).name

    def size(self, number: int) -> tuple[int, int]:
        group = self._group(number)
        return group.height, group.width

    def digest(self, number: int) -> str:
        # Two projects may have read one file differently.
        row = self.row(number)
        return row.digest if row.seen_key is None else PurePosixPath(row.seen_key).stem

    def image(self, number: int) -> Pixels:
        row = self.row(number)
        key = row.seen_key or row.blob_key
        return self._decoded.get(key, lambda: rgb(self._blobs.get(key)))

    def label_map(self, number: int) -> Pixels:
        row = self.row(number)
        key = row.label_key
        if key is None:
            raise LookupError(f"Image {row.name} has no label map.")

        def decode() -> Pixels:
            return self._classes.to_indices(decode_label_png(self._blobs.get(key), height=row.height, width=row.width))

        return self._decoded.get(f"{self._indices} {key}", decode)

    def row(self, number: int) -> Image:
        """The image's row."""
        if number not in self._rows:
            group = self._group(number)
            with self._database.read() as session:
                self._rows[number] = pool_store.image_in_group(session, group.id, number - group.first)
        return self._rows[number]

    def expect(self, numbers: Sequence[int]) -> None:
        """These images are about to be read: their rows are, together."""
        by_group: dict[int, list[int]] = defaultdict(list)
        for number in set(numbers) - self._rows.keys():
            group = self._group(number)
            by_group[group.id].append(number - group.first)
        firsts = {group.id: group.first for group in self.groups}
        for group_id, ordinals in by_group.items():
            with self._database.read() as session:
                for row in pool_store.images_in_group(session, group_id, sorted(ordinals)):
                    self._rows[firsts[group_id] + row.ordinal] = row

    def number(self, group_id: int, ordinal: int) -> int:
        """The image's number in this split."""
        return next(group.first for group in self.groups if group.id == group_id) + ordinal

    def labelled_numbers(self) -> list[int]:
        """Numbers of the images that have a label map."""
        return [number for number in range(len(self)) if self.row(number).label_key is not None]

    def _group(self, number: int) -> Group:
        if not 0 <= number < len(self):
            raise IndexError(f"There is no image {number} among {len(self)}.")
        return self.groups[int(np.searchsorted(self._starts, number, side="right")) - 1]


@dataclass(frozen=True, kw_only=True)
class ProjectData:
    """A project loaded for one task."""

    worker: Worker
    id: int
    name: str
    classes: ClassSet
    settings: ProjectSettings

    @property
    def loop(self) -> LoopSettings:
        """The loop's settings as the project has them."""
        each = self.settings
        return LoopSettings(
            classes=len(self.classes),
            cell_height=each.cell_height,
            cell_width=each.cell_width,
            levels=each.levels,
            cost=drawing_cost(each.cost),
            batch_size=each.batch_size,
            pool_size=each.pool_size,
            sampling=each.sampling,
            protocol=each.protocol,
            learning=each.learning,
            passes=each.passes_per_round,
            refit=RefitSettings(steps=each.refit_steps, first_steps=8 * each.refit_steps, folds=2),
            finer=each.stride is None,
            train=self.train,
        )

    @property
    def train(self) -> TrainSettings:
        """How a round's pass trains."""
        each = self.settings
        return TrainSettings(crop=(each.crop_height, each.crop_width), batch=each.train_batch, lr=each.learning_rate)

    def images(self, split: str) -> ProjectImages:
        """A split's images in their fixed order."""
        with self.worker.database.read() as session:
            groups = pool_store.groups_of_split(session, self.id, split)
        return self.images_of(groups)

    def images_of(self, rows: Sequence[ImageGroupRow]) -> ProjectImages:
        """Like `images`, of a split whose groups are read already."""
        groups, first = [], 0
        for row in rows:
            groups.append(Group(id=row.id, first=first, count=row.count, height=row.height, width=row.width))
            first += row.count
        return ProjectImages(self.worker.database, self.worker.blobs, self.classes, groups, self.worker.decoded)

    def pool(self, images: ProjectImages, proposed: Sequence[tuple[int, int, int]]) -> AnyPool:
        """U_t: every cell of the pool's images but the proposed ones, which are given as (group id, ordinal, cell)."""
        groups = [group_of(group.count, self.grid(group.height, group.width)) for group in images.groups]
        pool = pool_of(groups, self.loop.levels)
        if proposed:
            numbers = np.array([images.number(group, ordinal) for group, ordinal, _ in proposed])
            pool.take(pool.number(numbers, np.array([cell for _, _, cell in proposed])))
        return pool

    def grid(self, height: int, width: int) -> Grid:
        """The region grid of an image of this size."""
        return self.loop.grid((height, width))

    def regions(self, images: ProjectImages) -> int:
        """How many regions a split has."""
        return sum(group.count * self.grid(group.height, group.width).cells.size for group in images.groups)

    def answers(self, images: ProjectImages, regions: Sequence[pool_store.LabelledRegion]) -> list[Answer]:
        """Labelled rows as the loop takes them."""
        answers = []
        for region in regions:
            number = images.number(region.group_id, region.ordinal)
            grid = self.grid(*images.size(number))
            box = grid.box(region.cell)
            ids = decode_label_png(region.mask, height=box.height, width=box.width)
            label_map = self.classes.to_indices(ids)
            share = grid.share(region.cell)
            answers.append(Answer(image=number, cell=region.cell, box=box, label_map=label_map, share=share))
        return answers

    @property
    def architecture(self) -> Architecture:
        """The segmenter's, as the project wants it."""
        each = self.settings
        return Architecture(
            name=each.segmenter,
            frozen=each.encoder == "frozen",
            width=each.width,
            dropout=each.dropout,
            stride=each.stride or stride_for(each.cell_height, each.cell_width),
            chosen=each.stride is None,
            magnification=each.magnification,
        )

    def fresh_segmenter(self) -> Segmenter:
        """The project's architecture with weights drawn from its seed.

        Raises JobFailed where it cannot be built here, EncoderOutOfReach where that may be otherwise later.
        """
        images = [self.images(split) for split in ("pool", "train", "state", "reward")]
        try:
            return fresh_segmenter(self.architecture, len(self.classes), images, self.settings.seed, self.worker.device)
        except (ValueError, ImportError) as error:
            raise JobFailed(str(error)) from error

    def to_go_on_from(self, row: Checkpoint | None) -> tuple[Segmenter, Loaded | None]:
        """The checkpoint's segmenter with all that was saved with it, or a fresh one where the project wants another by now.

        Raises EncoderOutOfReach rather than lose a head whose encoder can be had again later.
        """
        if row is None:
            return self.fresh_segmenter(), None
        try:
            segmenter, checkpoint = load_segmenter(
                self.worker.blobs.get(row.blob_key), self.classes, self.worker.device
            )
        except (CheckpointError, ImportError):
            if self.settings.learning == "pass":
                raise
            # Its encoder is not to be had here, and a head is soon fitted to another.
            return self.fresh_segmenter(), None
        if self.settings.learning == "pass" or is_of(segmenter, self.architecture):
            return segmenter, checkpoint
        return self.fresh_segmenter(), None

    def known(self, *read: Sequence[ImageGroupRow]) -> list[ImageSource]:
        """Images that are labelled as a whole, for a head to be fitted to: D_S and D_T, never D_R, on which it is measured.

        `read`: the groups of D_S and D_T, where a snapshot has them already.
        """
        if self.settings.learning == "pass":
            return []
        splits = [self.images_of(rows) for rows in read] or [self.images(split) for split in ("state", "train")]
        return [labelled_part(images) for images in splits]

    def latest(self, kind: str) -> Checkpoint | None:
        """The newest checkpoint row of a kind."""
        with self.worker.database.read() as session:
            return checkpoint_store.latest_checkpoint(session, self.id, kind)

    def load_segmenter(self, row: Checkpoint) -> tuple[Segmenter, dict[str, torch.Tensor]]:
        """A checkpoint's segmenter and the momentum saved with it."""
        data = self.worker.blobs.get(row.blob_key)
        segmenter, checkpoint = load_segmenter(data, self.classes, self.worker.device)
        return segmenter, {k: v for k, v in checkpoint.extra.items() if k.startswith("momentum.")}

    def load_policy(self, row: Checkpoint, state: ProjectImages) -> Policy:
        """A checkpoint's query network; raises CheckpointError where it does not fit the project, whose D_S is `state`."""
        data = self.worker.blobs.get(row.blob_key)
        return load_policy(data, self.classes, self.regions(state), self.worker.device)[0]


def labelled_part(images: ProjectImages) -> Subset:
    """The images of a project's split that have label maps."""
    return Subset(images, images.labelled_numbers())


def load_project(worker: Worker, project_id: int) -> ProjectData:
    """The project as it is now."""
    with worker.database.read() as session:
        return project_of(worker, get_project(session, project_id))


def project_of(worker: Worker, row: Project) -> ProjectData:
    """The project whose row is read already."""
    return ProjectData(
        worker=worker,
        id=row.id,
        name=row.name,
        classes=ClassSet.from_json(row.classes),
        settings=ProjectSettings.model_validate(row.settings),
    )
