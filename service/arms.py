"""What the arm that needs torch offers to the command line, by name: the service names no module of it."""

from importlib.metadata import entry_points
from typing import Any


def offered(name: str) -> Any:
    """What the arm that needs torch offers to the command line: an entry point of the group `regionwise.workers`.

    The service names no module of workers; they are registered in pyproject.toml, and an installation may lack them.
    """
    try:
        return entry_points(group="regionwise.workers")[name].load()
    except KeyError as error:
        raise ValueError(f"Nothing is registered as {name!r} of regionwise: install it again with pip.") from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("torch", "safetensors", "workers", "models"):
            raise ValueError(f"This needs the package {error.name}: pip install 'regionwise[worker]'.") from error
        raise
