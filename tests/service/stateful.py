"""How stateful tests are played: few examples, always the same ones."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from service.blobs import Blobs
from service.db import Database


def play(rules: type[RuleBasedStateMachine], database: Database, blobs: Blobs, *, examples: int, steps: int) -> None:
    """Play rules that find their database and blobs as attributes of their class."""
    few = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes, and the steps are few
    )
    run_state_machine_as_test(type("Rules", (rules,), {"database": database, "blobs": blobs}), settings=few)
