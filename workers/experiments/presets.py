"""Presets: files of an experiment's settings, found by name and overridden value by value."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.experiments.settings import Experiment

PRESETS = Path(__file__).parent / "presets"
SHARED_POLICIES = "policies.toml"


def read_preset(preset: str, dataset: str, overrides: Sequence[str] = ()) -> Experiment:
    """A preset with `name=value` or `table.name=value` over it. Raises ValueError.

    `preset` is the path of a .toml file, a name as `lite-camvid`, or one as `lite`, which stands for `lite-DATASET` or, where
    there is none, `DATASET`.
    """
    path = _preset_path(preset, dataset)
    values = tomllib.loads(path.read_text())
    for override in overrides:
        _override(values, override)
    policies = tomllib.loads((PRESETS / SHARED_POLICIES).read_text())
    for name, own in values.get("policies", {}).items():
        policies[name] = {**policies.get(name, {}), **own}
    values["policies"] = {name: _with_base(name, policies) for name in policies}
    return Experiment.model_validate({"name": path.stem, **values, "dataset": dataset})


def preset_names() -> list[str]:
    """The presets there are."""
    return sorted(each.stem for each in PRESETS.glob("*.toml") if each.name != SHARED_POLICIES)


def _preset_path(preset: str, dataset: str) -> Path:
    if preset.endswith(".toml"):
        if not Path(preset).is_file():
            raise ValueError(f"There is no file {preset}.")
        return Path(preset)
    tried = [f"{preset}-{dataset}", preset, *([dataset] if preset == "lite" else [])]
    found = next((name for name in tried if name in preset_names()), None)
    if found is None:
        raise ValueError(
            f"There is no preset {tried[0]}; there are {', '.join(preset_names())}, or give the path of a .toml file."
        )
    return PRESETS / f"{found}.toml"


def _with_base(name: str, policies: dict[str, dict[str, Any]], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """A policy's values over those of the policy that its `base` names. Raises ValueError."""
    if name not in policies or name in seen:
        raise ValueError(
            f"The policy {(*seen, name)[0]} is based on {name!r}, which is not there or goes round in a circle."
        )
    own = dict(policies[name])
    base = own.pop("base", None)
    return own if base is None else {**_with_base(base, policies, (*seen, name)), **own}


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"--set takes name=value, not {override!r}.")
    *tables, last = name.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text
