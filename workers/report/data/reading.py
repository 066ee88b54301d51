"""Reads run folders, half-finished ones too, and says which file is broken."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workers.report.data.records import (
    MAIN,
    Cost,
    Headroom,
    Ious,
    Measured,
    Study,
    Surrogate,
    SurrogatePoint,
    Training,
    Trajectory,
)

Key = tuple[str, str]
OF_THE_GAME = ("theta0", "cell_height", "cell_width", "height", "width", "levels", "cost", "batch_size", "pool_size")
"""Settings that all methods of a study share: what one of them wins by another value is not the method's."""


def read_runs(runs: Sequence[Path]) -> list[Study]:
    """One study for each data set and preset found in the folders, in order of name.

    Raises ValueError where a folder is missing, a file is broken, nothing was measured, or two trajectories claim to be the same,
    or runs of one name were played on different images.
    """
    trajectories: dict[Key, list[tuple[Path, Trajectory]]] = defaultdict(list)
    headrooms: dict[Key, Headroom] = {}
    surrogates: dict[Key, list[Surrogate]] = defaultdict(list)
    trainings: dict[Key, list[Training]] = defaultdict(list)
    images: dict[Key, tuple[str, Path]] = {}
    for folder in dict.fromkeys(run.resolve() for run in runs):
        if not folder.is_dir():
            raise ValueError(f"There is no run folder {folder}: name a folder that the simulation wrote.")
        found = [(path, _trajectory(path)) for path in sorted((folder / "trajectories").glob("*.json"))]
        keys = [(each.dataset, each.preset) for _, each in found]
        for (path, each), key in zip(found, keys, strict=True):
            trajectories[key].append((path, each))
        if (folder / "headroom.json").exists():
            key, headroom = _headroom(folder / "headroom.json")
            if headrooms.setdefault(key, headroom) != headroom:
                raise ValueError(f"Two runs of {' '.join(key)} differ in headroom.json: give only runs that share it.")
            keys.insert(0, key)
        for key in keys:
            _require_the_same_images(key, folder, images)
        games, played = _surrogates(folder), _trainings(folder)
        if keys:
            surrogates[keys[0]] += games
            trainings[keys[0]] += played
        elif games or played:
            raise ValueError(f"{folder} has neither trajectories nor headroom.json, so its data set is not known.")
    _require_distinct(trajectories)
    for key, found in trajectories.items():
        _require_one_game(key, found, headrooms.get(key))
    studies = [
        Study(
            dataset=key[0],
            preset=key[1],
            trajectories=tuple(each for _, each in trajectories[key]),
            headroom=headrooms.get(key),
            surrogates=tuple(surrogates[key]),
            trainings=tuple(trainings[key]),
        )
        for key in sorted({*trajectories, *headrooms})
    ]
    if not studies:
        raise ValueError("The run folders hold no measurement yet: run the simulation until its first budget.")
    return studies


def played_on(folder: Path) -> str | None:
    """The digest of the data that a run was played on; None where it was not recorded. Raises ValueError for a broken file."""
    path = folder / "data.json"
    if not path.exists():
        return None
    found = _json(path).get("data")
    if not isinstance(found, str):
        raise _broken(path, TypeError("no digest"))
    # An earlier version looked at no file where the data lay in the run's folder.
    return None if found == hashlib.sha256().hexdigest() else found


def _require_the_same_images(key: Key, folder: Path, images: dict[Key, tuple[str, Path]]) -> None:
    """Names say little of somebody's own folders: two of one name may be of different images."""
    if (data := played_on(folder)) is not None:
        before, where = images.setdefault(key, (data, folder))
        if before != data:
            raise ValueError(
                f"{where} and {folder} are both of {' '.join(key)}, and were played on different images: give each a name of its "
                "own (--set name=...)."
            )


def _require_distinct(trajectories: Mapping[Key, Sequence[tuple[Path, Trajectory]]]) -> None:
    """Figures of two settings under one name would be averaged without a word; the settings name ablations apart."""
    seen: dict[tuple[object, ...], Path] = {}
    for path, each in (pair for pairs in trajectories.values() for pair in pairs):
        key: tuple[object, ...] = (each.dataset, each.preset, each.group, each.method, each.protocol, each.seed)
        if each.group != MAIN:
            key += (json.dumps(dict(each.settings), sort_keys=True),)
        if key in seen:
            raise ValueError(f"{seen[key]} and {path} are both {each.method}, seed {each.seed}: keep one of them.")
        seen[key] = path


def _require_one_game(key: Key, found: Sequence[tuple[Path, Trajectory]], headroom: Headroom | None) -> None:
    """Methods that began or were asked otherwise, or on data of other classes, are not to be compared, nor with what can be won
    from another beginning. Ablations are.
    """
    seen: dict[str, tuple[object, str]] = {}
    if headroom is not None:
        known = {**headroom.settings, "classes": headroom.classes}
        seen = {name: (value, "headroom.json") for name, value in known.items()}
    for path, each in found:
        known = {name: each.settings[name] for name in OF_THE_GAME if each.group == MAIN and name in each.settings}
        for name, value in (*known.items(), *([("classes", each.classes)] if each.classes else [])):
            before, where = seen.setdefault(name, (value, str(path)))
            if before != value:
                raise ValueError(
                    f"{where} and {path} are both of {' '.join(key)}, and have other settings: {name} {before} and {value}. Play "
                    "each with a name and an --out of its own (--set name=...), or report them apart."
                )


def _trajectory(path: Path) -> Trajectory:
    data = _json(path)
    try:
        return Trajectory(
            dataset=data["dataset"],
            preset=data["preset"],
            method=data["method"],
            protocol=data["protocol"],
            seed=int(data["seed"]),
            group=data.get("group", MAIN),
            settings=_flat(data.get("experiment") or {}),
            budgets={int(budget): _measured(data["budgets"][budget]) for budget in sorted(data["budgets"], key=int)},
            classes=tuple(data.get("classes") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(path, error) from error


def _measured(data: Mapping[str, Any]) -> Measured:
    # Where there are several sizes: as many undivided regions as they are as large.
    regions = float(data.get("cells", data["regions"]))
    return Measured(
        cost=replace(_cost(data), regions=regions),
        miou=float(data["miou"]),
        iou_C=tuple(data.get("iou_per_class") or ()),
        class_entropy=data.get("class_entropy"),
        epochs=data.get("epochs"),
    )


def _cost(data: Mapping[str, Any]) -> Cost:
    return Cost(regions=data.get("regions"), pixels=data.get("pixels"), clicks=data.get("clicks"))


def _headroom(path: Path) -> tuple[Key, Headroom]:
    data = _json(path)
    try:
        below, above = data.get("theta_0") or {}, data.get("full") or {}
        return (data["dataset"], data["preset"]), Headroom(
            classes=tuple(data["classes"]),
            theta_0_S=_numbers(below.get("miou")),
            theta_0_iou_C=_mean_ious(below.get("iou_per_class")),
            full_S=_numbers(above.get("miou")),
            full_iou_C=_mean_ious(above.get("iou_per_class")),
            full_cost=_cost(above),
            labels={split: _cost(cost) for split, cost in (data.get("labels") or {}).items()},
            std=data.get("std"),
            settings={name: data[name] for name in OF_THE_GAME if name in data},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(path, error) from error


def _surrogates(folder: Path) -> list[Surrogate]:
    paths = (folder / name for name in ("surrogate.json", "surrogate-home.json"))
    return [_surrogate(path) for path in paths if path.exists()]


def _surrogate(path: Path) -> Surrogate:
    data = _json(path)
    try:
        return Surrogate(
            game=data.get("game", ""),
            points=tuple(SurrogatePoint(**point) for point in data["points"]),
            rank_correlation=data.get("rank_correlation"),
            episodes_per_hour=data.get("episodes_per_hour"),
        )
    except (KeyError, TypeError) as error:
        raise _broken(path, error) from error


def _trainings(folder: Path) -> list[Training]:
    found = []
    for path in sorted((folder / "policies").glob("*.json")):
        data = _json(path)
        try:
            # An earlier version had the game among the policy's settings.
            told = {key: data[key] for key in ("game",) if key in data} | data.get("settings", {})
            known = {key: told[key] for key in ("game", "group") if key in told}
            best = data.get("best_episode")
            found.append(Training(name=data["name"], returns=_numbers(data["returns"]), best_episode=best, **known))
        except (KeyError, TypeError, ValueError) as error:
            raise _broken(path, error) from error
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise _broken(path, error) from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is not a JSON object: delete it and run again.")
    return data


def _broken(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is not as the simulation writes it ({error!r}): delete it and run again.")


def _numbers(values: object) -> tuple[float, ...]:
    many: list[Any] = values if isinstance(values, list) else [values]
    return tuple(float(value) for value in many if value is not None)


def _mean_ious(values: object) -> Ious:
    """Mean over seeds of IoU per class, given for each seed or already as a mean; a class no seed has stays None."""
    if not isinstance(values, list) or not values:
        return ()
    rows = values if isinstance(values[0], list) else [values]
    known = [[iou for iou in column if iou is not None] for column in zip(*rows, strict=True)]
    return tuple(sum(column) / len(column) if column else None for column in known)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Settings of tables within tables by dotted name."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
