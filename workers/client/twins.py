"""Pictures that are there under several names, in a data set or in the project that it is added to.

Shapes: C classes.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.domain.image_names import image_name
from workers.client.entries import Entry, drawn_of
from workers.client.known import Known, KnownImages


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was found of an entry: which picture it is, and its labels' pixels by class, and ignored ones."""

    entry: Entry
    picture: str | None
    counts_C: NDArray[np.int64] | None
    ignored: int

    @property
    def labelled(self) -> bool:
        """Whether it has labels that would be sent."""
        return self.counts_C is not None

    def has_labels_beside(self, other: "Read") -> bool:
        """Whether it has labels that the other has not: they are drawn again, for few pictures are there twice."""
        if not self.labelled or not other.labelled:
            return self.labelled
        own, others = drawn_of(self.entry), drawn_of(other.entry)
        return not (
            np.array_equal(own.indices_HW, others.indices_HW) and np.array_equal(own.labelled_HW, others.labelled_HW)
        )


@dataclass(kw_only=True)
class Twins:
    """bad: images of one name, which are not sent; twins: names of the same picture in a split, sent once, under the first;
    at_odds: those of them that have other labels than the one that is sent; leaks: names of the same picture in several splits.
    """

    kept: list[Read]
    bad: list[tuple[str, str]] = field(default_factory=list)
    twins: list[tuple[str, ...]] = field(default_factory=list)
    at_odds: list[tuple[str, str]] = field(default_factory=list)
    leaks: list[tuple[str, ...]] = field(default_factory=list)

    def drop(self, gone: Sequence[Read]) -> None:
        """Send these no more."""
        numbers = {id(each) for each in gone}
        self.kept = [each for each in self.kept if id(each) not in numbers]


def without_twins(read: Sequence[Read], known: KnownImages, *, keep: bool) -> Twins:
    """What is sent: of the same picture twice in a split the one that the project has, else one with a label map, else the
    first; with `keep` all.
    """
    found = Twins(kept=list(read))
    alike, called = defaultdict[str, list[Read]](list), defaultdict[str, list[Read]](list)
    for each in read:
        called[image_name(each.entry.name)].append(each)
        if each.picture is not None:
            alike[each.picture].append(each)
    gone = list[Read]()
    for name, same in called.items():
        if len(same) > 1:  # on this system they differ, and in the service they would not
            found.bad += [(each.entry.title, f"It is one of {len(same)} images called {name}.") for each in same]
            gone += same
    for picture, same in alike.items():
        gone += _left_out(found, picture, same, known, keep)
    found.drop(gone)
    return found


def _left_out(found: Twins, picture: str, same: Sequence[Read], known: KnownImages, keep: bool) -> list[Read]:
    """Those that are not sent of one picture; what there is to say of it is added to `found`."""
    new = [each for each in same if known.named(each.entry.name) is None]
    there = [each for each in same if known.named(each.entry.name) is not None]
    own = {image_name(each.entry.name) for each in same}
    # Under other names. Where nothing is new all was said when it came.
    others = [each for each in known.of_picture(picture) if new and each.name not in own]
    titles = [*(each.entry.title for each in same), *(each.title for each in others)]
    if len({*(each.entry.split for each in same), *(each.split for each in others)}) > 1:
        found.leaks.append(tuple(titles))
        return []
    if keep or not new or len(titles) == 1:
        return []
    if others and not there:
        return _left_for_known(found, new, max(others, key=lambda each: each.labelled))
    best = max(there or new, key=lambda each: each.labelled)
    left = [each for each in new if each is not best]
    found.twins.append((best.entry.title, *(title for title in titles if title != best.entry.title)))
    found.at_odds += [(each.entry.title, best.entry.title) for each in left if each.has_labels_beside(best)]
    return left


def _left_for_known(found: Twins, new: list[Read], taken: Known) -> list[Read]:
    """All, for one that the project has: what it has of labels is not looked at, and lost is what it has none of."""
    found.twins.append((taken.title, *(each.entry.title for each in new)))
    if not taken.labelled:
        found.at_odds += [(each.entry.title, taken.title) for each in new if each.labelled]
    return new
