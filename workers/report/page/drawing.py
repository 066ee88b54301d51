"""How figures look: colours, marks and axes, and SVG that follows the page's light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.domain.methods import BASELINES, LEARNED, REFERENCES, Method
from workers.report.analysis.curves import BLEND, PAPER, PER_POOL, REGIONWISE, SHIPPED, Entry

# Drawn in this colour, which nothing else has, and replaced by the page's own, so that a figure follows light and dark.
INK = "#010203"
# What the baselines look like, in their order; there is more of both than there are baselines.
BASELINE_COLOURS = (
    *("#8d99a6", "#2f9e44", "#f08c00", "#12b5c9", "#a9744f", "#cfa900", "#e77fbf", "#7a8f1f", "#5f7f9e"),
    *("#1b6e5a", "#7d4fa3", "#c96a3d"),
)
BASELINE_MARKERS = "ov^<>Dphxs*P"
COLOURS = {
    BLEND: "#e6007e",
    SHIPPED: "#7722ff",
    REGIONWISE: "#e5383b",
    PAPER: "#3a7bf0",
    str(Method.learned("carried")): "#9b5de5",
    LEARNED: "#e5383b",
    **dict(zip(BASELINES, cycle(BASELINE_COLOURS), strict=False)),
    **dict.fromkeys(REFERENCES, INK),
}
MARKERS: dict[str, str] = dict(zip(BASELINES, cycle(BASELINE_MARKERS), strict=False))
OTHER = "#98a1ab"  # lines that need no name
SPARE = ("#d6409f", "#0f9d8a", "#b5651d", "#6f6fd0", "#c2255c", "#4d908e")
WIDTH = 9.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure: its file's stem, what it shows in words, and SVG that draws in the page's colour."""

    name: str
    alt: str
    svg: str

    def alone(self) -> str:
        """The SVG as a file of its own: dark ink on white."""
        svg = self.svg.replace("currentColor", "#1f2328")
        return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1)


def colour_of(method: str) -> str:
    """The colour of a method, the same in every figure; a control has that of what it controls."""
    each = Method.parse(method)
    if each.is_untrained:
        return colour_of(str(Method.learned(each.policy)))
    return COLOURS.get(method) or SPARE[sum(method.encode()) % len(SPARE)]


def policy_colour(name: str) -> str:
    """The colour of the method that plays a policy, whether named as the method or without `learned:`."""
    return colour_of(str(Method.learned(name)) if Method.parse(name).is_plain else name)


def style_of(entry: Entry) -> dict[str, Any]:
    """How the line of an entry is drawn: learned thick, baselines thin, controls and references dashed."""
    base: dict[str, Any] = {"color": colour_of(entry.method), "markersize": 4, "linewidth": 1.1}
    if entry.kind == "learned":
        return base | {"linewidth": 2.8, "marker": "o", "markersize": 5}
    if entry.kind == "baseline":
        return base | {"marker": MARKERS[entry.method]}
    # References have dashes of their own, unlike those of the lines of full supervision.
    dashes = (4, 2) if entry.kind == "control" else (6, 2, 1, 2)
    return base | {"linestyle": (0, dashes), "linewidth": 1.5}


def panels_of(figure: Figure, protocols: Sequence[str], **shared: bool) -> list[Axes]:
    """Axes side by side, one for each protocol; `sharex` or `sharey` puts them on one scale."""
    options: dict[str, Any] = {"squeeze": False, **shared}
    axes = figure.subplots(1, len(protocols), **options)[0]
    for each, protocol in zip(axes, protocols, strict=True):
        plain(each)
        if len(protocols) > 1 or protocol != PER_POOL:
            each.set_title(protocol, fontsize=10)
    return list(axes)


def plain(axes: Axes) -> Axes:
    """Axes with a faint grid and no frame above and right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=INK, alpha=0.13, linewidth=0.7)
    axes.set_axisbelow(True)
    return axes


def picture(name: str, alt: str, draw: Callable[[Figure], None], height: float, *, width: float = WIDTH) -> Picture:
    """Draw into a figure of this size, in inches, and turn it into SVG."""
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    # Text stays text, and ids come from the name: the same figures give the same bytes.
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9}
    with matplotlib.rc_context(settings | dict.fromkeys(inks, INK)):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    # Several figures stand in one page, where ids must differ.
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    return Picture(name=name, alt=alt, svg=svg)
