"""Figures of a report as SVG: curves, entropies, areas, differences, ablations, the surrogate game, training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workers.report.analysis.comparisons import Ablation, Analysis, Difference
from workers.report.analysis.curves import Curves, Entry
from workers.report.analysis.hindsight import chosen_in_hindsight
from workers.report.data.records import MAIN, TRAINING_MEASURES, Surrogate, Training
from workers.report.page.drawing import (
    INK,
    OTHER,
    Picture,
    colour_of,
    panels_of,
    picture,
    plain,
    policy_colour,
    style_of,
)
from workers.report.page.tables import best_of

# A horizontal line: mIoU in percent, line style, line width.
Line = tuple[float, str, float]
# Episodes of a running mean: twice round six sources, which differ in their mIoUs.
RUNNING = 12
HINDSIGHT = "best baseline at each budget, in hindsight"
HINDSIGHT_LINE: dict[str, Any] = {"color": INK, "linestyle": (0, (9, 3)), "linewidth": 1.0}


def curves_figure(analysis: Analysis, name: str) -> Picture:
    """mIoU by labelled regions, mean and std over seeds, a panel for each protocol (Figure 4 of the paper)."""
    curves, lines = analysis.curves, _lines(analysis)

    def draw(figure: Figure) -> None:
        panels = panels_of(figure, curves.protocols, sharey=True)
        seen: list[float] = []
        for protocol, axes in zip(curves.protocols, panels, strict=True):
            best = best_of(analysis.best_areas(protocol))[1]
            # What is drawn last lies on top.
            for entry in sorted(curves.of(protocol), key=lambda entry: entry.kind == "learned"):
                means = _curve(axes, curves, entry, band=entry.kind == "learned" or entry == best)
                # Untrained controls may lie far below; the scale is for what they are held against.
                seen += [] if entry.kind == "control" else means
            for percent, style, width in lines.values():
                axes.axhline(percent, color=INK, linestyle=style, linewidth=width)
            axes.plot(*_hindsight(curves, protocol), **HINDSIGHT_LINE, zorder=3)
            axes.set_xscale("log", base=2)
            axes.set_xticks(curves.budgets, [f"{budget:,}" for budget in curves.budgets])
            axes.set_xlabel("labelled regions")
        panels[0].set_ylabel("test mIoU, %")
        if seen:
            top = max([*seen, *(percent for label, (percent, *_) in lines.items() if "full" in label)])
            panels[0].set_ylim(min(seen) - 1, top + 1)
        _legend(figure, curves, lines)

    return picture(name, f"mIoU by labelled regions on {analysis.study.name}", draw, 4.8)


def _lines(analysis: Analysis) -> dict[str, Line]:
    headroom = analysis.study.headroom
    lines: dict[str, Line] = {}
    if headroom is not None and headroom.full is not None:
        lines |= {
            "96% of full supervision": (96 * headroom.full, "--", 1.3),
            "95% of full supervision": (95 * headroom.full, "--", 0.6),
        }
    if headroom is not None and headroom.theta_0 is not None:
        lines[f"theta_0 ({100 * headroom.theta_0:.1f}%)"] = (100 * headroom.theta_0, ":", 1.3)
    return lines


def entropy_figure(analysis: Analysis, name: str) -> Picture | None:
    """Class entropy of the selected pixels at the last compared budget, by method (Figure 3 of the paper)."""
    curves = analysis.curves
    values = {
        entry: [
            e for p in curves.finished(entry).values() if (e := p.budgets[curves.budgets[-1]].class_entropy) is not None
        ]
        for entry in curves.plays
    }
    alt = f"Class entropy of the selected pixels on {analysis.study.name}"
    return _dots(values, curves.protocols, name, alt, "class entropy of selected pixels, nats")


def areas_figure(analysis: Analysis, name: str) -> Picture | None:
    """Area under the budget curve by method: mean, std, and every seed."""
    values = {entry: [100 * a for a in by_seed.values()] for entry, by_seed in analysis.areas.items()}
    alt = f"Area under the budget curve on {analysis.study.name}"
    return _dots(values, analysis.curves.protocols, name, alt, "area under the budget curve, mIoU in %")


def differences_figure(found: Mapping[Entry, Difference], name: str, learned: str) -> Picture:
    """Paired differences in area with their intervals, above 0 where the learned method is ahead."""
    protocols = {entry.protocol for entry in found}
    rows = [
        (_shown(entry, protocols), difference, colour_of(entry.method))
        for entry, difference in sorted(found.items(), key=lambda item: item[1].mean)
    ]
    return _intervals(rows, name, f"{learned} minus each other method", f"{learned} minus the other, points of area")


def ablation_figure(ablation: Ablation, name: str) -> Picture | None:
    """Differences of each variant to its base, with intervals, as bars."""
    rows = [(v.label, v.difference, colour_of("learned:regionwise")) for v in ablation.variants if v.difference]
    rows.sort(key=lambda row: row[1].mean)
    if not rows:
        return None
    return _intervals(rows, name, f"Ablation: {ablation.name}", "variant minus base, points of area", bars=True)


def surrogate_figure(surrogate: Surrogate, name: str) -> Picture:
    """The real result of each strategy and policy by its result on the surrogate game."""

    def draw(figure: Figure) -> None:
        axes = plain(figure.subplots())
        for point in surrogate.points:
            colour = colour_of(point.name) if point.kind == "strategy" else policy_colour(point.name)
            strategy = point.kind == "strategy"
            filled = colour if strategy else "none"
            axes.scatter(point.surrogate, point.real, s=46, facecolor=filled, edgecolor=colour, linewidth=1.6)
            # Strategies are named on the right and policies on the left, since good ones of both lie close together.
            place: dict[str, Any] = {"xytext": (7, -3)} if strategy else {"xytext": (-7, -3), "ha": "right"}
            axes.annotate(point.name, (point.surrogate, point.real), textcoords="offset points", fontsize=8, **place)
        axes.set_xlabel("surrogate game")
        axes.set_ylabel("real game")
        axes.margins(0.14)

    return picture(name, f"Real result by surrogate result, {surrogate.game}", draw, 3.8, width=6.6)


def training_figure(trainings: Sequence[Training], name: str) -> Picture:
    """Episodes of policies that were trained on one game: running means of twelve, each policy's own episodes pale behind them.

    Those of ablations are grey and have no names; a star marks the episode after which a policy was kept.
    """
    axis = TRAINING_MEASURES[trainings[0].game]

    def draw(figure: Figure) -> None:
        axes = plain(figure.subplots())
        for training in sorted(trainings, key=lambda each: each.group == MAIN):
            own = training.group == MAIN
            colour = policy_colour(training.name) if own else OTHER
            episodes, window = np.arange(1, len(training.returns) + 1), min(RUNNING, len(training.returns))
            smooth = np.convolve(training.returns, np.ones(window) / window, "valid")
            label, width = (training.name, 2.0) if own else (None, 0.8)
            axes.plot(episodes[window - 1 :], smooth, color=colour, linewidth=width, label=label)
            if own:
                axes.plot(episodes, training.returns, color=colour, alpha=0.3, linewidth=1)
                best = training.best_episode
                if best is not None and 0 <= best < len(training.returns):
                    axes.plot(best + 1, training.returns[best], marker="*", color=colour, markersize=11)
        if any(training.group != MAIN for training in trainings):
            axes.plot([], [], color=OTHER, linewidth=0.8, label="ablations")
        axes.set_xlabel("episode")
        axes.set_ylabel(f"{axis}, points")
        axes.legend(frameon=False, fontsize=8)

    return picture(name, f"{axis} of the training episodes, {trainings[0].game} game", draw, 3.2, width=6.6)


def _curve(axes: Axes, curves: Curves, entry: Entry, *, band: bool) -> list[float]:
    """Draw the mean over seeds, with a band of one std or without; give the means, in points."""
    plays = curves.plays[entry].values()
    budgets = sorted({budget for play in plays for budget in play.budgets})
    at = [[play.budgets[budget] for play in plays if budget in play.budgets] for budget in budgets]
    regions = [np.mean([m.cost.regions for m in measured if m.cost.regions is not None]) for measured in at]
    means = np.array([100 * np.mean([m.miou for m in measured]) for measured in at])
    spread = np.array(
        [100 * np.std([m.miou for m in measured], ddof=1) if len(measured) > 1 else 0.0 for measured in at]
    )
    style = style_of(entry)
    axes.plot(regions, means, **style)
    if band:
        axes.fill_between(regions, means - spread, means + spread, color=style["color"], alpha=0.15, linewidth=0)
    return [float(mean) for mean in means]


def _hindsight(curves: Curves, protocol: str) -> tuple[list[float], list[float]]:
    """Regions and mIoU in percent of the best baseline of a protocol at each compared budget."""
    best = chosen_in_hindsight(curves, protocol)
    at = [[play.budgets[each.budget] for play in curves.finished(each.baseline).values()] for each in best]
    regions = [float(np.mean([m.cost.regions for m in measured if m.cost.regions is not None])) for measured in at]
    return regions, [100 * each.miou for each in best]


def _legend(figure: Figure, curves: Curves, lines: Mapping[str, Line]) -> None:
    methods = {entry.method: entry for entry in curves.plays}
    handles = [Line2D([], [], label=method, **style_of(entry)) for method, entry in methods.items()]
    for label, (_, style, width) in lines.items():
        look: dict[str, Any] = {"color": INK, "linestyle": style, "linewidth": width}
        handles.append(Line2D([], [], label=label, **look))
    if any(_hindsight(curves, protocol)[0] for protocol in curves.protocols):
        handles.append(Line2D([], [], label=HINDSIGHT, **HINDSIGHT_LINE))
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8.5)


def _dots(
    values: Mapping[Entry, Sequence[float]], protocols: Sequence[str], name: str, alt: str, label: str
) -> Picture | None:
    """A row for each entry, best on top: seeds small, mean large with its std; a panel for each protocol on one scale."""
    known = {entry: each for entry, each in values.items() if each}
    shown = [protocol for protocol in protocols if any(entry.protocol == protocol for entry in known)]
    if not shown:
        return None
    longest = max(sum(entry.protocol == protocol for entry in known) for protocol in shown)

    def draw(figure: Figure) -> None:
        for protocol, axes in zip(shown, panels_of(figure, shown, sharex=True), strict=True):
            rows = [(entry, each) for entry, each in known.items() if entry.protocol == protocol]
            rows.sort(key=lambda row: float(np.mean(row[1])))
            # The best stands on top in every panel.
            places = range(longest - len(rows), longest)
            for y, (entry, each) in zip(places, rows, strict=True):
                colour, size = colour_of(entry.method), 8.0 if entry.kind == "learned" else 5.5
                spread = np.std(each, ddof=1) if len(each) > 1 else None
                axes.scatter(each, [y] * len(each), s=12, color=colour, alpha=0.45, linewidth=0)
                # A control has the colour of what it controls, and is hollow.
                face = "none" if entry.kind == "control" else colour
                axes.errorbar(np.mean(each), y, xerr=spread, color=colour, fmt="o", mfc=face, ms=size, linewidth=1.6)
            axes.set_yticks(places, [entry.method for entry, _ in rows])
            axes.set_ylim(-0.7, longest - 0.3)
            axes.set_xlabel(label, fontsize=9)
            axes.margins(x=0.08)

    return picture(name, alt, draw, 1.1 + 0.27 * longest, width=9.2 if len(shown) > 1 else 6.6)


def _intervals(
    rows: Sequence[tuple[str, Difference, str]], name: str, alt: str, label: str, *, bars: bool = False
) -> Picture:
    def draw(figure: Figure) -> None:
        axes = plain(figure.subplots())
        axes.axvline(0, color=INK, linewidth=1)
        for y, (_, difference, colour) in enumerate(rows):
            mean = 100 * difference.mean
            if bars:
                axes.barh(y, mean, height=0.55, color=colour, alpha=0.55)
            if difference.low is not None and difference.high is not None:
                axes.plot(
                    [100 * difference.low, 100 * difference.high], [y, y], color=INK if bars else colour, linewidth=1.8
                )
            if not bars:
                axes.plot(mean, y, marker="o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel(label)

    return picture(name, alt, draw, 1.0 + 0.27 * len(rows), width=6.6)


def _shown(entry: Entry, protocols: set[str]) -> str:
    return entry.method if len(protocols) == 1 else f"{entry.method} ({entry.protocol})"
