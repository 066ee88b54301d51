"""What is known class by class of a project whose classes have changed since: brought to the classes of today."""

from collections.abc import Sequence

from service.domain.class_changes import carried_from
from service.domain.classes import ClassSet


def carried(values_C: Sequence[float], then: ClassSet, now: ClassSet) -> list[float] | None:
    """Pixels, or shares of them, of the classes of `then` by those of `now`: summed where classes were merged, 0 of a new one.

    None where a class was part of another then, and is not any more: nobody knows how much of that it was.
    """
    sources = carried_from(then, now)
    if sources is None:
        return list(values_C)
    taken = [each for source in sources for each in source]
    if len(set(taken)) < len(taken):
        return None
    return [sum(values_C[each] for each in source) for source in sources]


def shares(values_C: Sequence[float] | None) -> list[float] | None:
    """Each class's share of the whole; None where that is nothing."""
    total = sum(values_C or ())
    return [each / total for each in values_C] if values_C and total > 0 else None
