"""The task that trains a policy by playing episodes on D_T."""

from dataclasses import replace
from typing import Any

from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork
from service.schemas.policies import PolicyPayload, PolicySettings
from service.store import checkpoints as checkpoint_store
from workers.datasets.base import ImageSource, Subset
from workers.jobs.delivery import JobFailed, JobRun
from workers.jobs.project import ProjectData, load_project
from workers.jobs.saving import save_checkpoint
from workers.jobs.segmenters import labelled_part
from workers.loop.round import groups_of
from workers.policy.building import Ground, build_trainer
from workers.policy.playing import describe_progress, play_resumably
from workers.policy.trainer import Progress, Trainer
from workers.training.checkpoints import save_policy


def train_policy(run: JobRun) -> dict[str, Any]:
    """Play a policy's games from theta_pre; keep the weights that did best (workers/policy/trainer.py)."""
    project, payload = load_project(run.worker, run.project_id), PolicyPayload.model_validate(run.payload)
    trainer = _trainer(project, payload.chosen())
    store = run.state("policy")

    def keep_going(progress: Progress) -> bool:
        run.report(progress.done, f"policy: {describe_progress(trainer, progress)}")
        return not run.interrupted

    if not play_resumably(trainer, store, keep_going):
        run.pause()
    result = {"name": payload.policy, "episodes": len(trainer.returns), **trainer.summary()}
    policy = trainer.best_policy()
    assert isinstance(policy, QueryNetwork | RegionwiseNetwork)
    save_checkpoint(
        run,
        save_policy(policy, project.classes, **result),
        kind="policy",
        description=result,
        parent=None,
        write=checkpoint_store.record_checkpoint,
    )
    store.clear()
    return result


def _trainer(project: ProjectData, settings: PolicySettings) -> Trainer:
    row = project.latest("source")
    if row is None:
        raise JobFailed("Policy training starts from a pretrained segmenter; run a pretrain job first.")
    train: ImageSource = labelled_part(project.images("train"))
    if row.description.get("source") == "half":
        train = Subset(train, range(1, len(train), 2))
    splits = {"train": train, "state": project.images("state"), "reward": labelled_part(project.images("reward"))}
    if settings.game == "surrogate":
        splits["state"] = labelled_part(project.images("state"))
    for split, images in splits.items():
        if not len(images):
            labelled = " with label maps" * (split != "state" or settings.game == "surrogate")
            raise JobFailed(f"Policy training needs images in the split `{split}`{labelled}.")
    loop = replace(
        project.loop,
        batch_size=settings.batch_size or project.loop.batch_size,
        pool_size=settings.pool_size,
        protocol="per-pool",
    )
    regions = sum(group.images * group.cells for group in groups_of(train, loop))
    ground = Ground(
        splits=splits,
        classes=project.classes,
        start=lambda: project.load_segmenter(row)[0],
        loop=loop,
        device=project.worker.device,
    )
    fitting = settings.model_copy(update={"budget": min(settings.budget, regions)})
    try:
        return build_trainer(fitting, ground, project.settings.seed)
    except ValueError as error:  # a source whose classes are not the project's
        raise JobFailed(str(error)) from error
