"""Kinds of street and the road's cross-section: the numbers that a layout is drawn from, in metres."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A kind of street: what stands along it (weights), how far back, how tall, and its pavements, in metres."""

    lots: tuple[tuple[str, float], ...]
    setback: tuple[float, float]
    floors: tuple[int, int]
    ground: tuple[tuple[str, float], ...]
    pavement: tuple[float, float]
    verge: float  # probability of a grass verge between road and pavement
    trees: float  # street trees for every 10 m


STREETS: dict[str, Street] = {
    "high": Street(
        lots=(("house", 9), ("side street", 1), ("garden", 0.6)), setback=(0.0, 0.6), floors=(2, 4),
        ground=(("shop", 5), ("plain", 2)), pavement=(1.6, 3.6), verge=0.0, trees=0.05,
    ),
    "terrace": Street(
        lots=(("house", 9), ("side street", 1), ("garden", 0.8)), setback=(0.0, 3.0), floors=(2, 3),
        ground=(("house", 5), ("shop", 1)), pavement=(1.4, 2.6), verge=0.0, trees=0.08,
    ),
    "villas": Street(
        lots=(("house", 5), ("garden", 3), ("side street", 0.8)), setback=(3.0, 9.0), floors=(2, 3),
        ground=(("house", 4), ("plain", 1)), pavement=(1.3, 2.4), verge=0.35, trees=0.22,
    ),
    "park": Street(
        lots=(("garden", 6), ("house", 2), ("side street", 0.8), ("yard", 0.6)), setback=(5.0, 16.0), floors=(2, 3),
        ground=(("house", 2), ("plain", 2)), pavement=(1.2, 2.4), verge=0.5, trees=0.35,
    ),
    "retail": Street(
        lots=(("yard", 3), ("house", 3), ("garden", 1.5), ("side street", 0.8)), setback=(1.0, 20.0), floors=(2, 5),
        ground=(("shop", 2), ("plain", 3)), pavement=(1.4, 3.2), verge=0.25, trees=0.2,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """The cross-section, metres from the centre line; traffic drives on the left."""

    lane: float
    own_lanes: int
    other_lanes: int
    bays: tuple[float, float]  # width of the parking bays on the left and on the right
    end: float  # depth at which the street ends in another

    def edge(self, side: int) -> float:
        """Distance of the kerb from the centre line."""
        lanes = self.own_lanes if side < 0 else self.other_lanes
        return lanes * self.lane + self.bays[0 if side < 0 else 1]
