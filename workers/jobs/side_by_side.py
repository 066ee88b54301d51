"""Processes that play the games of a policy's search for a job, each with the project's images in its own hands."""

import os
from dataclasses import dataclass

from torch import nn

from service.db import Database
from service.schemas.policies import PolicySettings
from service.settings import Settings
from workers.jobs.connecting import worker_of
from workers.jobs.grounds import games_made_of, ground_of, loop_of_games, source_of, splits_of
from workers.jobs.project import ProjectData, load_project
from workers.policy.building import build_network
from workers.policy.contest import Contest
from workers.policy.ground import contests_of
from workers.policy.players import Players

# Without a number of their own: more would take a lab's memory.
MOST = 8


class ProjectChanged(Exception):
    """The project is not any more what the job read of it; tried again, the job reads it anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPlayers:
    """Makes, in another process, what a player of a job's search needs."""

    settings: Settings
    project_id: int
    policy: PolicySettings
    made_of: str

    def __call__(self) -> tuple[list[Contest], nn.Module]:
        """The contests and a network. Raises ProjectChanged where games here would not be made of what the job's are."""
        database = Database(self.settings.resolved_database_url)
        try:
            return self._made(load_project(worker_of(self.settings, database), self.project_id))
        except BaseException:
            database.engine.dispose()
            raise

    def _made(self, project: ProjectData) -> tuple[list[Contest], nn.Module]:
        source, loop = source_of(project), loop_of_games(project, self.policy)
        splits = splits_of(project, source)
        if games_made_of(project, source, splits, self.policy, loop) != self.made_of:
            raise ProjectChanged(f"Project {self.project_id} changed while the games of a policy were made ready.")
        ground, seed = ground_of(project, source, splits, loop), project.settings.seed
        network = build_network(self.policy, len(project.classes), 0, seed).to(project.worker.device)
        return contests_of(self.policy, ground, seed), network


def players_for(project: ProjectData, policy: PolicySettings, made_of: str) -> Players | None:
    """Those that the worker's settings ask for; None where the worker plays alone."""
    settings, device = project.worker.settings, project.worker.device
    if not policy.searched:
        return None
    count = settings.players or (min(os.cpu_count() or 1, MOST) if device == "cpu" else 1)
    count = min(count, policy.population)
    if count < 2:
        return None
    return Players(ForPlayers(settings=settings, project_id=project.id, policy=policy, made_of=made_of), count)
