"""The one path by which regions are chosen and learned from, live and in simulation."""

from workers.loop.active_learner import ActiveLearner

__all__ = ["ActiveLearner"]
