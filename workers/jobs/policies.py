"""The task that trains a policy by playing episodes on D_T."""

from typing import Any

from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork
from service.schemas.jobs import PolicyPayload
from service.schemas.policies import PolicySettings
from service.store import checkpoints as checkpoint_store
from workers.datasets.base import ImageSource, Subset
from workers.jobs.delivery import JobFailed, JobRun
from workers.jobs.project import ProjectData, load_project
from workers.jobs.saving import save_checkpoint
from workers.jobs.segmenters import labelled_part
from workers.loop.round import LoopSettings, groups_of
from workers.policy.building import Ground, build_trainer
from workers.policy.playing import describe_progress, play_resumably
from workers.policy.trainer import Progress, Trainer
from workers.training.checkpoints import save_policy

ROUNDS_PER_EPISODE = 20


def train_policy(run: JobRun) -> dict[str, Any]:
    """Play episodes from theta_pre; keep the policy whose mean return was highest."""
    project, payload = load_project(run.worker, run.project_id), PolicyPayload.model_validate(run.payload)
    trainer = _trainer(project, payload)
    store = run.state("policy")

    def keep_going(progress: Progress) -> bool:
        run.report(progress.done, f"policy: {describe_progress(trainer, progress)}")
        return not run.interrupted

    if not play_resumably(trainer, store, keep_going):
        run.pause()
    result = {"episodes": len(trainer.returns), **trainer.summary()}
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


def _trainer(project: ProjectData, payload: PolicyPayload) -> Trainer:
    row = project.latest("source")
    if row is None:
        raise JobFailed("Policy training starts from a pretrained segmenter; run a pretrain job first.")
    train: ImageSource = labelled_part(project.images("train"))
    if row.description.get("source") == "half":
        train = Subset(train, range(1, len(train), 2))
    reward = labelled_part(project.images("reward"))
    state = project.images("state")
    for split, images in (("train", train), ("reward", reward), ("state", state)):
        if not len(images):
            raise JobFailed(
                f"Policy training needs images in the split `{split}`" + " with label maps." * (split != "state")
            )
    each = project.loop
    loop = LoopSettings(
        classes=each.classes,
        cell_height=each.cell_height,
        cell_width=each.cell_width,
        batch_size=each.batch_size,
        pool_size=payload.pool_size,
        sampling=each.sampling,
        passes=each.passes,
        train=each.train,
    )
    regions = sum(group.images * group.cells for group in groups_of(train, loop))
    settings = PolicySettings(
        episodes=payload.episodes,
        budget=min(payload.budget or ROUNDS_PER_EPISODE * loop.batch_size, regions),
        pool_size=payload.pool_size,
        updates_per_round=payload.updates_per_round,
        lr=payload.learning_rate,
    )
    ground = Ground(
        splits={"train": train, "state": state, "reward": reward},
        classes=project.classes,
        start=lambda: project.load_segmenter(row)[0],
        loop=loop,
        device=project.worker.device,
    )
    return build_trainer(settings, ground, project.settings.seed)
