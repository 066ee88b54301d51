"""Prints a campaign's rounds as people read them."""

from typing import Any

from rich.console import Console
from rich.table import Table

from service.client import Client


def print_rounds(client: Client, project: int, console: Console) -> None:
    """Three tables: the rounds, the IoU of each class after each, and the classes of the labelled pixels."""
    rounds = list(client.pages(f"/projects/{project}/rounds"))
    names = [each["name"] for each in client.call("GET", f"/projects/{project}")["classes"]]
    # Rounds speak of the classes that there were, and as they were called.
    names = list(dict.fromkeys([*names, *(name for each in rounds for name in each["iou_per_class"] or ())]))
    console.print(_rounds_table(rounds))
    console.print(_class_table("IoU on the reward images after each round, %", rounds, names, _iou))
    console.print(_class_table("Labelled pixels of each round, %", rounds, names, _share))


def _rounds_table(rounds: list[dict[str, Any]]) -> Table:
    table = Table(title="Rounds")
    for column in (
        "round",
        "state",
        "strategy",
        "checkpoint",
        "policy",
        "mIoU before",
        "mIoU after",
        "reward",
        "ask s",
        "tell s",
    ):
        table.add_column(column, justify="right" if column not in ("state", "strategy") else "left")
    for each in rounds:
        table.add_row(
            str(each["number"]),
            each["state"],
            str(each["strategy"]),
            f"{each['checkpoint_id'] or '-'} > {each['result_checkpoint_id'] or '-'}",
            str(each["policy_id"] or "-"),
            _percent(each["miou_before"]),
            _percent(each["miou_after"]),
            "-" if each["reward"] is None else f"{each['reward']:+.2f}",
            f"{_seconds(each, 'ask_'):.1f}",
            f"{_seconds(each, 'tell_'):.1f}",
        )
    return table


def _class_table(title: str, rounds: list[dict[str, Any]], names: list[str], value: Any) -> Table:
    table = Table(title=title)
    table.add_column("round", justify="right")
    for name in names:
        table.add_column(name[:10], justify="right")
    for each in rounds:
        table.add_row(str(each["number"]), *(value(each, name) for name in names))
    return table


def _iou(each: dict[str, Any], name: str) -> str:
    return "-" if each["iou_per_class"] is None else _percent(each["iou_per_class"].get(name))


def _share(each: dict[str, Any], name: str) -> str:
    counts = each["class_counts"]
    if not counts or not sum(counts.values()) or name not in counts:
        return "-"
    return _percent(counts[name] / sum(counts.values()))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _seconds(each: dict[str, Any], prefix: str) -> float:
    return sum(float(value) for phase, value in each["seconds"].items() if phase.startswith(prefix))
