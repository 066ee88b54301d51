"""Finds what a person means on a server: by its name, else by its number."""

from typing import Any

from service.client import Client


def found(client: Client, wanted: str, path: str, listed_by: str, missing: str = "nothing") -> dict[str, Any]:
    """The item of the list at `path` of this name, else of this number. Raises ValueError where there is none."""
    numbered: dict[str, Any] | None = None
    for each in client.pages(path):
        if each["name"] == wanted:
            return dict(each)
        if str(each["id"]) == wanted:
            numbered = dict(each)
    if numbered is not None:
        return numbered
    raise ValueError(f"There is {missing} called {wanted} at {client.server}; `{listed_by}` shows what there is.")
