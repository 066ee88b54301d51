"""Sources that read where many images lie faster together than one by one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Expecting(Protocol):
    """Such a source."""

    def expect(self, numbers: Sequence[int]) -> None:
        """These images are about to be read."""
