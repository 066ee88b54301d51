"""The task that trains a policy by playing episodes on D_T."""

from dataclasses import asdict, replace
from typing import Any

from service.schemas.policies import PolicyPayload, PolicySettings
from service.store import checkpoints as checkpoint_store
from service.tables import Checkpoint
from workers.datasets.base import ImageSource, Subset
from workers.files import settings_hash
from workers.jobs.delivery import JobFailed, JobRun
from workers.jobs.project import ProjectData, labelled_part, load_project
from workers.jobs.saving import made_already, save_checkpoint
from workers.loop.round import LoopSettings, groups_of
from workers.policy.building import build_trainer
from workers.policy.ground import Ground, SourceError
from workers.policy.playing import PolicyTrainer, describe_progress, play_resumably
from workers.policy.progress import Progress
from workers.training.building import is_of
from workers.training.checkpoints import Policy, save_policy


def train_policy(run: JobRun) -> dict[str, Any]:
    """Play a policy's games from theta_pre; keep the weights that did best (workers/policy/trainer.py)."""
    kept = made_already(run, "policy")
    if kept is not None:
        return kept
    project, payload = load_project(run.worker, run.project_id), PolicyPayload.model_validate(run.payload)
    trainer, made_of = _trainer(run, project, payload.chosen())
    store = run.state("policy")

    def keep_going(progress: Progress) -> bool:
        run.report(progress.done, f"policy: {describe_progress(trainer, progress)}")
        return not run.interrupted

    def keep_trying(played: int, games: int) -> bool:
        run.report(run.progress, f"policy: game {played + 1} of {games} of a trial")
        return not run.interrupted

    ended = play_resumably(
        trainer, store, keep_going, made_of=made_of, keep_trying=keep_trying, called_off=lambda: run.called_off
    )
    if not ended:
        run.pause()
    result = {"name": payload.policy, "episodes": len(trainer.returns), **trainer.summary()}
    policy = trainer.best_policy()
    assert isinstance(policy, Policy)
    save_checkpoint(
        run,
        save_policy(policy, project.classes, **result),
        kind="policy",
        description=result,
        parent=None,
        write=checkpoint_store.record_checkpoint,
    )
    store.clear()
    run.worker.between_slices.clear()
    return result


def _trainer(run: JobRun, project: ProjectData, settings: PolicySettings) -> tuple[PolicyTrainer, str]:
    """The trainer, and what its games are made of, in a hash. One that this process made in an earlier slice is gone on with."""
    row = project.latest("source")
    if row is None:
        raise JobFailed("Policy training starts from a pretrained segmenter; run a pretrain job first.")
    if project.settings.learning == "refit" and not is_of(project.load_segmenter(row)[0], project.architecture):
        raise JobFailed("The project's segmenter has changed since it was pretrained; run a pretrain job first.")
    splits = _splits(project, row)
    loop = replace(
        project.loop,
        levels=1,  # games are of undivided regions
        cost=None,
        batch_size=settings.batch_size or project.loop.batch_size,
        pool_size=settings.pool_size,
        protocol="per-pool",
    )
    sizes = {split: len(images) for split, images in splits.items()}
    # Of the project's settings those that a game goes by: others may change while a campaign runs.
    made_of = settings_hash([row.id, sizes, settings.model_dump(mode="json"), asdict(loop), project.settings.seed])
    key = f"policy {run.job_id} {made_of}"
    if key not in run.worker.between_slices:
        # To draw a city, say, may take longer than a slice.
        run.worker.between_slices.clear()
        run.worker.between_slices[key] = _built(project, settings, row, splits, loop)
        run.begin_slice()
    trainer: PolicyTrainer = run.worker.between_slices[key]
    return trainer, made_of


def _splits(project: ProjectData, source: Checkpoint) -> dict[str, ImageSource]:
    train: ImageSource = labelled_part(project.images("train"))
    if source.description.get("source") == "half":
        train = Subset(train, range(1, len(train), 2))
    splits: dict[str, ImageSource] = {
        "train": train,
        "state": project.images("state"),
        "reward": labelled_part(project.images("reward")),
    }
    for split, images in splits.items():
        if not len(images):
            raise JobFailed(
                f"Policy training needs images in the split `{split}`" + " with label maps." * (split != "state")
            )
    return splits


def _built(
    project: ProjectData,
    settings: PolicySettings,
    source: Checkpoint,
    splits: dict[str, ImageSource],
    loop: LoopSettings,
) -> PolicyTrainer:
    regions = sum(group.images * group.cells for group in groups_of(splits["train"], loop))
    ground = Ground(
        splits=splits,
        classes=project.classes,
        start=lambda: project.load_segmenter(source)[0],
        loop=loop,
        device=project.worker.device,
        known=[labelled_part(project.images("state"))] if project.settings.learning == "refit" else [],
    )
    fitting = settings.model_copy(update={"budget": min(settings.budget, regions)})
    try:
        return build_trainer(fitting, ground, project.settings.seed)
    except SourceError as error:
        raise JobFailed(str(error)) from error
