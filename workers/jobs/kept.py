"""What a process keeps of a job between two of its slices, and how it lets go of it."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Closing(Protocol):
    """What has something running for it that is to be ended."""

    def close(self) -> None:
        """End it."""


def let_go(kept: dict[str, Any]) -> None:
    """Drop all of it, and end what runs for it."""
    for each in kept.values():
        if isinstance(each, Closing):
            each.close()
    kept.clear()
