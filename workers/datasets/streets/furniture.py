"""Street furniture: lamp posts, signs, traffic lights, bollards, railings, walls, bins and shelters."""

from dataclasses import dataclass

from workers.datasets.streets.canvas import BLACK, BUILDING, FENCE, POLE, SIGN, VOID, Canvas, Color

STEEL: Color = (112.0, 116.0, 118.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Something on a pole at ground point (x, z). `kind` is lamp, post, sign, signal, bollard or board."""

    kind: str
    x: float
    z: float
    height: float
    thickness: float
    color: Color
    reach: float = 0.0  # metres from the pole to the lamp over the road, signed
    face: Color = (200.0, 200.0, 200.0)
    shape: str = "disc"
    size: float = 0.35

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.z


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """A railing, fence, wall or hedge-like run from (x0, z0) to (x1, z1); short runs sort best."""

    kind: str  # "railing", "boards", "wall"
    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    color: Color

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return max(self.start[1], self.end[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Clutter:
    """A bin, cabinet, phone box or shelter: in no class."""

    x: float
    z: float
    width: float
    height: float
    color: Color
    glazed: bool

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.z


def draw_post(canvas: Canvas, post: Post) -> None:
    """Paint a pole and what it carries."""
    x, z, top = post.x, post.z, post.height
    ink = canvas.ink(post.color, z)
    canvas.rod((x, 0.0, z), (x, top, z), post.thickness, ink, POLE)
    if post.kind == "lamp":
        canvas.rod((x, top, z), (x + post.reach, top + 0.35, z), post.thickness * 0.7, ink, POLE, annotated=0.004)
        glow = (400.0, 330.0, 220.0) if canvas.light.lamps else (150.0, 152.0, 150.0)
        end = x + post.reach
        canvas.rod((end - 0.35, top + 0.3, z), (end + 0.35, top + 0.4, z), 0.22, canvas.ink(glow, z), POLE)
    elif post.kind == "signal":
        _signal(canvas, post)
    elif post.kind == "sign":
        _plate(canvas, post, top - post.size)
    elif post.kind == "board":
        _board(canvas, post)
    elif post.kind == "bollard":
        canvas.rod((x, top * 0.72, z), (x, top * 0.85, z), post.thickness * 1.05, canvas.ink(post.face, z))


def _signal(canvas: Canvas, post: Post) -> None:
    x, z, low = post.x, post.z, post.height - 1.0
    box = [(x - 0.22, low, z), (x + 0.22, low, z), (x + 0.22, low + 1.05, z), (x - 0.22, low + 1.05, z)]
    canvas.face(box, canvas.ink(BLACK, z), SIGN)
    lit = {"red": 2, "amber": 1}.get(post.shape, 0)
    glow = ((40, 255, 150), (255, 190, 40), (255, 60, 40))[lit]
    canvas.disc((x, low + 0.2 + 0.33 * lit, z), (0.12, 0.12), glow)


def _plate(canvas: Canvas, post: Post, middle: float) -> None:
    x, z, size = post.x, post.z, post.size
    rim, face = canvas.ink((190, 30, 36), z), canvas.ink(post.face, z)
    if post.shape == "disc":
        canvas.disc((x, middle, z), (size, size), rim if post.face[0] > 150 else face, SIGN)
        if post.face[0] > 150:
            canvas.disc((x, middle, z), (size * 0.72, size * 0.72), face)
    elif post.shape == "triangle":
        for share, ink, label in ((1.0, rim, SIGN), (0.6, face, None)):
            s = size * share
            canvas.face(
                [(x - s, middle - 0.6 * s, z), (x + s, middle - 0.6 * s, z), (x, middle + 1.1 * s, z)], ink, label
            )
    else:
        wide = size * (1.5 if post.shape == "wide" else 0.8)
        canvas.face(_box(x, z, wide, middle - size, middle + size), face, SIGN)
        inner = canvas.ink((225, 225, 222) if post.face[0] < 150 else (50, 52, 60), z)
        for row in (-0.45, 0.05, 0.5):
            canvas.face(_box(x, z, wide * 0.7, middle + size * (row - 0.1), middle + size * (row + 0.12)), inner)


def _box(x: float, z: float, half: float, low: float, high: float) -> list[tuple[float, float, float]]:
    return [(x - half, low, z), (x + half, low, z), (x + half, high, z), (x - half, high, z)]


def _board(canvas: Canvas, post: Post) -> None:
    """An advertising or direction board, on the ground or raised."""
    x, z, half = post.x, post.z, post.size
    low = 0.25 if post.shape == "low" else post.height - 1.6 * half
    canvas.face(_box(x, z, half, low, post.height), canvas.ink(post.face, z), SIGN)
    pale = canvas.ink((220, 220, 214), z)
    canvas.face(_box(x, z, half * 0.8, low + (post.height - low) * 0.62, low + (post.height - low) * 0.8), pale)
    canvas.face(_box(x, z, half * 0.55, low + (post.height - low) * 0.25, low + (post.height - low) * 0.4), pale)


def draw_barrier(canvas: Canvas, barrier: Barrier) -> None:
    """Paint a run of railing, boards or wall."""
    (x0, z0), (x1, z1) = barrier.start, barrier.end
    high, middle = barrier.height, (z0 + z1) / 2
    ink = canvas.ink(barrier.color, middle)
    outline = [(x0, 0.0, z0), (x1, 0.0, z1), (x1, high, z1), (x0, high, z0)]
    if barrier.kind != "railing":
        canvas.face(outline, ink, BUILDING if barrier.kind == "wall" else FENCE)
        cap = [(x0, high, z0), (x1, high, z1), (x1, high - 0.12, z1), (x0, high - 0.12, z0)]
        canvas.face(cap, canvas.ink(barrier.color, middle, 1.3 if barrier.kind == "wall" else 0.7))
        return
    canvas.label_pen.polygon(canvas.camera.outline(outline), fill=FENCE)
    if canvas.camera.pixels(0.3, middle) < 2.5:
        canvas.face(outline, canvas.ink(barrier.color, middle, 1.2))
        return
    canvas.comb(barrier.start, barrier.end, high, ink)


def draw_clutter(canvas: Canvas, thing: Clutter) -> None:
    """Paint something that belongs to no class."""
    ink = canvas.ink(thing.color, thing.z)
    canvas.face(_box(thing.x, thing.z, thing.width / 2, 0.0, thing.height), ink, VOID)
    if thing.glazed:
        pane = canvas.ink((120, 128, 132), thing.z)
        for side in (-0.25, 0.25):
            x = thing.x + side * thing.width
            canvas.face(_box(x, thing.z, thing.width * 0.2, 0.3, thing.height - 0.3), pane)
    else:
        low, high = thing.height * 0.75, thing.height * 0.85
        canvas.face(_box(thing.x, thing.z, thing.width * 0.35, low, high), canvas.ink(BLACK, thing.z))
