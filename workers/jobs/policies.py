"""The task that trains a policy by playing episodes on D_T, and compares it in held-out games."""

from collections.abc import Mapping
from typing import Any

from service.domain.doubts import of_policy
from service.schemas.policies import PolicyPayload, PolicySettings
from service.store import checkpoints as checkpoint_store
from workers.datasets.base import ImageSource
from workers.jobs.comparing import compared
from workers.jobs.delivery import JobFailed, JobRun
from workers.jobs.grounds import games_made_of, ground_of, live_rounds, loop_of_games, source_of, splits_of
from workers.jobs.needs import require_data
from workers.jobs.project import ProjectData, load_project
from workers.jobs.saving import made_already, save_checkpoint
from workers.jobs.side_by_side import players_for
from workers.loop.round import LoopSettings, cells_in
from workers.policy.building import build_trainer
from workers.policy.ground import SourceError
from workers.policy.playing import PolicyTrainer, describe_progress, play_resumably
from workers.policy.progress import Progress
from workers.training.checkpoints import Policy, save_policy


def train_policy(run: JobRun) -> dict[str, Any]:
    """Play a policy's games from theta_pre; keep the weights that did best (workers/policy/trainer.py)."""
    kept = made_already(run, "policy")
    if kept is not None:
        return kept
    project, payload = load_project(run.worker, run.project_id), PolicyPayload.model_validate(run.payload)
    name = payload.name(refits=project.settings.learning == "refit")
    try:
        settings = payload.chosen(name)
    except ValueError as error:
        raise JobFailed(str(error)) from error
    require_data(run, payload)
    trainer, made_of = _trainer(run, project, settings)
    store = run.state("policy")

    def keep_going(progress: Progress) -> bool:
        run.report(progress.done, f"policy: {describe_progress(trainer, progress)}")
        return not run.interrupted

    def keep_trying(played: int, games: int) -> bool:
        run.report(run.progress, f"policy: game {played + 1} of {games} of a trial")
        return not run.interrupted

    try:
        ended = play_resumably(
            trainer, store, keep_going, made_of=made_of, keep_trying=keep_trying, called_off=lambda: run.called_off
        )
    except BaseException:  # the next try makes its own players
        run.worker.forget_slices()
        raise
    if not ended:
        if run.called_off:
            run.worker.forget_slices()
        run.pause()
    policy = trainer.best_policy()
    assert isinstance(policy, Policy)
    result = {"name": name, "episodes": len(trainer.returns), **trainer.summary()}
    if payload.compare_games and project.settings.learning == "refit":
        result |= compared(run, project, policy, payload.compare_games)
    if warning := of_policy(result):
        result["warning"] = warning
    save_checkpoint(
        run,
        save_policy(policy, project.classes, **result),
        kind="policy",
        description=result,
        parent=None,
        write=checkpoint_store.record_checkpoint,
    )
    store.clear()
    run.state("comparison").clear()
    run.worker.forget_slices()
    return result


def _fitting(settings: PolicySettings, splits: Mapping[str, ImageSource], loop: LoopSettings) -> PolicySettings:
    """With no more regions than D_T has; contests see to that themselves, for they ask for some of D_R's too."""
    if settings.searched or settings.halves:
        return settings
    regions = int(cells_in([splits["train"]], loop))
    return settings.model_copy(update={"budget": min(settings.budget, regions)})


def _trainer(run: JobRun, project: ProjectData, settings: PolicySettings) -> tuple[PolicyTrainer, str]:
    """The trainer, and what its games are made of, in a hash. One that this process made in an earlier slice is gone on with."""
    row = source_of(project)
    splits, loop = splits_of(project, row), loop_of_games(project, settings)
    made_of = games_made_of(project, row, splits, settings, loop)
    key = f"policy {run.job_id} {made_of}"
    if key not in run.worker.between_slices:
        # To draw a city, say, may take longer than a slice.
        run.worker.forget_slices()
        try:
            built = build_trainer(
                _fitting(settings, splits, loop),
                ground_of(project, row, splits, loop),
                project.settings.seed,
                live_rounds(project, settings),
                players_for(project, settings, made_of),
            )
        except SourceError as error:
            raise JobFailed(str(error)) from error
        run.worker.between_slices[key] = built
        run.begin_slice()
    trainer: PolicyTrainer = run.worker.between_slices[key]
    return trainer, made_of
