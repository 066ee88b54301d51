"""Presets: files of an experiment's settings, found by name and overridden value by value."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.schemas.named_policies import unbased_policies, with_bases
from workers.experiments.settings import Experiment

PRESETS = Path(__file__).parent / "presets"


def read_preset(preset: str, dataset: str, overrides: Sequence[str] = ()) -> Experiment:
    """A preset with `name=value` or `table.name=value` over it. Raises ValueError.

    `preset` is the path of a .toml file, a name as `lite-camvid`, or one as `lite`, which stands for `lite-DATASET` or, where
    there is none, `DATASET`.
    """
    path = _preset_path(preset, dataset)
    values = tomllib.loads(path.read_text())
    for override in overrides:
        _override(values, override)
    policies = {name: dict(own) for name, own in unbased_policies().items()}
    for name, own in values.get("policies", {}).items():
        policies[name] = {**policies.get(name, {}), **own}
    values["policies"] = with_bases(policies)
    return Experiment.model_validate({"name": path.stem, **values, "dataset": dataset})


def preset_names() -> list[str]:
    """The presets there are."""
    return sorted(each.stem for each in PRESETS.glob("*.toml"))


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
