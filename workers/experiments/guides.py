"""Guides: segmenters trained on D_T, and what they expect of every region; a policy may look at it, f never learns from it."""

from collections.abc import Callable

import torch
from torch import Tensor

from models.features import describe
from models.segmenter import Segmenter
from workers.datasets.base import ImageSource, Subset
from workers.datasets.on_device import stack_images
from workers.experiments.stages import Bench, theta_pre, train_and_keep
from workers.files import write_atomically
from workers.training.checkpoints import from_bytes, load_segmenter, save_segmenter, to_bytes
from workers.training.convergence import Material, same_size_runs

FOLDS = 2


def guide_of_pool(bench: Bench) -> Tensor:
    """(R, C): the class mass of every region of D_V by a guide that was trained on all of D_T."""
    return _kept(bench, "pool", lambda: class_mass(bench, _guide(bench, None), bench.split("pool")))


def guide_of_training(bench: Bench) -> Tensor:
    """(R, C): the class mass of every region of D_T by a guide that has not seen the region's image.

    A policy that is trained with it learns how far a guide can be trusted on images it has not seen, as those of D_V are.
    """

    def masses() -> Tensor:
        source = bench.split("train")
        parts: dict[int, Tensor] = {}
        for fold in range(FOLDS):
            guide = _guide(bench, fold)
            held_out = list(range(fold, len(source), FOLDS))
            mass_RC = class_mass(bench, guide, Subset(source, held_out))
            cells = [bench.experiment.grid(source.size(n)).cells for n in held_out]
            parts |= dict(zip(held_out, torch.split(mass_RC, cells), strict=True))
        return torch.cat([parts[number] for number in range(len(source))])

    return _kept(bench, "train", masses)


def guide_of_reward(bench: Bench) -> Tensor:
    """(R, C): the class mass of every region of D_R by a guide that was trained on all of D_T."""
    return _kept(bench, "reward", lambda: class_mass(bench, _guide(bench, None), bench.split("reward")))


def guide_of_games(bench: Bench, redraw: bool) -> Tensor:
    """(R, C): what guides expect of the regions of a surrogate game's pool: D_T's, and, where images are redrawn, D_R's."""
    own_RC = guide_of_training(bench)
    return torch.cat([own_RC, guide_of_reward(bench)]) if redraw else own_RC


def class_mass(bench: Bench, segmenter: Segmenter, source: ImageSource) -> Tensor:
    """(R, C): the mean softmax of each class over every region of a source, image by image."""
    grid = bench.experiment.grid
    parts = []
    for run in same_size_runs(source, range(len(source))):
        boxes = [torch.from_numpy(grid(source.size(number)).boxes()) for number in run]
        images = stack_images(source, run, bench.device)
        described = describe(segmenter, images, boxes, vectors=frozenset({"class_mass"}))
        parts += [each.rows.vectors["class_mass"].cpu() for each in described]
    return torch.cat(parts)


def _guide(bench: Bench, fold: int | None) -> Segmenter:
    """theta_pre, trained on D_T without the images of a fold; early stopping, where there is any, on D_R."""
    path = bench.path("guide", bench.experiment.key("guide", fold))
    if path.exists():
        return load_segmenter(path.read_bytes(), bench.dataset.classes, bench.device)[0]
    segmenter, source = theta_pre(bench, 0), bench.split("train")
    kept = [number for number in range(len(source)) if fold is None or number % FOLDS != fold]
    train_and_keep(
        bench,
        segmenter,
        Material.whole(Subset(source, kept)),
        score=bench.split("reward"),
        settings=bench.experiment.theta0_training,
        seed=0,
        path=path,
        name="guide (trained on D_T)" if fold is None else f"guide (without fold {fold} of D_T)",
    )
    write_atomically(path, save_segmenter(segmenter, bench.dataset.classes, stage="guide"))
    return segmenter


def _kept(bench: Bench, split: str, make: Callable[[], Tensor]) -> Tensor:
    path = bench.path("guide-mass", bench.experiment.key("guide", split))
    if path.exists():
        return from_bytes(path.read_bytes()).weights["mass_RC"]
    mass_RC = make()
    write_atomically(path, to_bytes({"kind": "guide-mass"}, {"mass_RC": mass_RC}))
    return mass_RC
