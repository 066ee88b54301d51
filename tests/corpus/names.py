"""Names of files as systems and people make them: what images are called then, and which label map is whose."""

import unicodedata

from tests.corpus import files as f
from tests.corpus.cases import NOISE, Case, Refused, Taken, refused
from tests.corpus.label_maps import ONES

_PNG, _LABEL = f.saved(NOISE), f.saved(ONES)
_OTHER = f.saved(NOISE[::-1].copy())
_NFC = unicodedata.normalize("NFC", "Größe é")
_NFD = unicodedata.normalize("NFD", "Größe é")
_LONG = "ä" * 125 + "b.png"  # 255 bytes


def _kept(name: str, as_: str | None = None, *, in_folder: bool = True) -> Case:
    """An image and its label map, called alike."""
    stem, kept = name.rpartition(".")[0], as_ or name
    return Case(
        title=f"name: {name[:40]!a}",
        images={name: _PNG},
        labels={f"{stem}.png": _LABEL} if in_folder else {},
        outcome=Taken(pixels={kept: NOISE}, labels={kept: ONES} if in_folder else {}, in_folder=in_folder),
    )


def _refused(title: str, outcome: Refused, images: tuple[str, ...], labels: tuple[str, ...] = ()) -> Case:
    return Case(
        title=f"names: {title}",
        images=dict.fromkeys(images, _PNG),
        labels=dict.fromkeys(labels, _LABEL),
        outcome=outcome,
    )


def _two(title: str, *names: str) -> Case:
    """Two images, each with its label map."""
    first, second = names
    labels = {f"{name.rpartition('.')[0]}.png": _LABEL for name in names}
    flipped = NOISE[::-1]
    return Case(
        title=f"names: {title}",
        images={first: _PNG, second: _OTHER},
        labels=labels,
        outcome=Taken(pixels={first: NOISE, second: flipped}, labels={first: ONES, second: ONES}),
    )


_ONE = [
    *(_kept(name) for name in (f"{_NFC}.png", f"{_NFD}.png", "a b.png", "a .png", "\u5716.png", "a\u00a0b.png")),
    *(
        _kept(name)
        for name in ("Bild 3.04\u202fPM.png", "\U0001f9eb.png", "100%.png", "a%20b.png", "a;b=c.png", "it's.png")
    ),
    *(
        _kept(name)
        for name in ("CON.png", "aux.webp", "nul.tar.png", "a:b.png", "a?.png", "a..png", "#1.png", "-rf.png")
    ),
    *(_kept(name) for name in (_LONG, "north/1.png", "a/b/c/d.png", "north.west/1.png", "a.b.c.png", "<b>&.png")),
    _kept("south\\1.png", "south/1.png"),
    _kept(" a.png", "a.png"),
    _kept("a/ b .png", "a/b .png"),
    *(_kept(name, in_folder=False) for name in (".a.png", ".hidden/a.png", "__MACOSX/a.png", "._a.png")),
]

_SEVERAL = [
    _two("upper and lower case", "A.png", "a.png"),
    _two("composed and not", f"{_NFC}.png", f"{_NFD}.png"),
    _two("one name in two folders", "north/1.png", "south/1.png"),
    _two("of other suffixes", "a.1.png", "a.2.png"),
    _refused(
        "one stem, two suffixes, a label map",
        refused("duplicate_name", "Two images", "must differ"),
        ("a.png", "a.jpg"),
        ("a.png",),
    ),
    _refused(
        "two label maps of one",
        refused("duplicate_name", "Two label maps", "take one away"),
        ("a.png",),
        ("a.png", "a.tif"),
    ),
    _refused(
        "two that are one without spaces",
        refused("duplicate_name", "called a.png", "images called a.png"),
        ("a.png", " a.png"),
    ),
    _refused(
        "two that are one by a backslash",
        refused("duplicate_name", "called b/a.png", "images called b/a.png"),
        ("b/a.png", "b\\a.png"),
    ),
    _refused("a label map of nobody", refused("stray_label_map", "No image", "match no image"), ("a.png",), ("b.png",)),
    _refused(
        "a label map composed otherwise",
        refused("stray_label_map", "No image", "match no image"),
        (f"{_NFC}.png",),
        (f"{_NFD}.png",),
    ),
    _refused(
        "a label map in another case", refused("stray_label_map", "No image", "match no image"), ("A.png",), ("a.png",)
    ),
    _refused("too long", refused("bad_name", "1 to 255"), (f"{'a' * 200}/{'b' * 100}.png",)),
    _refused(
        "a label map's too long", refused("bad_name", "1 to 255"), (f"a/{'b' * 249}.png",), (f"a/{'b' * 249}.tiff",)
    ),
    _refused("outside", refused("bad_name", "`..`", None), ("../../a.png",)),
    _refused("two dots", refused("bad_name", "1 to 255", None), ("..",)),
    _refused("a separator of lines", refused("bad_name", "no character"), ("a\u2028b.png",)),
]

NAMES: tuple[Case, ...] = (*_ONE, *_SEVERAL)
