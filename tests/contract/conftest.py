"""The parity test plays in the same tiny world as the tests of the workers."""

from tests.workers.conftest import make_world

__all__ = ["make_world"]
