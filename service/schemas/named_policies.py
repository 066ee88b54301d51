"""The policies that have a name: read from policies.toml, each over the one that it is based on."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def unbased_policies() -> Mapping[str, Mapping[str, Any]]:
    """What each policy with a name sets itself; its `base` names the policy that it changes."""
    return tomllib.loads(Path(__file__).with_name("policies.toml").read_text())


@cache
def named_policies() -> Mapping[str, Mapping[str, Any]]:
    """All that each policy with a name sets."""
    return with_bases(unbased_policies())


def with_bases(policies: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Policies' values, each over those of the policy that its `base` names. Raises ValueError for a base that is not there."""
    return {name: _over_base(name, policies) for name in policies}


def _over_base(name: str, policies: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if name not in policies or name in seen:
        raise ValueError(
            f"The policy {(*seen, name)[0]} is based on {name!r}, which is not there or goes round in a circle."
        )
    own = dict(policies[name])
    base = own.pop("base", None)
    return own if base is None else {**_over_base(base, policies, (*seen, name)), **own}
