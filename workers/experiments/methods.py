"""The methods that an experiment compares."""

from models.strategies import STRATEGIES

LEARNED = "learned"
BASELINES = tuple(name for name in STRATEGIES if name != LEARNED)
