"""What was done in a run, and how long nobody was given a region for it."""

from collections import defaultdict
from itertools import pairwise

from tests.chaos.journal import Journal
from tests.chaos.processes import Process
from tests.chaos.run import Course


def table(course: Course, journal: Journal, processes: list[Process], left_out: dict[str, str]) -> str:
    """Lines for people."""
    moments = [course.begun, *sorted(journal.given_at)]
    gaps = [(end - begin, begin, end) for begin, end in pairwise(moments)]
    struck = sorted(course.struck, key=lambda each: each.at)
    found: defaultdict[str, list[float]] = defaultdict(list)
    for number, each in enumerate(struck):
        until = struck[number + 1].at if number + 1 < len(struck) else course.ended
        found[each.planned.what].append(
            max((length for length, begin, end in gaps if begin < max(until, each.undone) and end > each.at), default=0)
        )
    lines = [f"{'what was done':<42} {'times':>5} {'longest time without a region, s':>34}"]
    lines += [
        f"{what:<42} {len(lengths):>5} {max(lengths):>14.1f}  (middle {sorted(lengths)[len(lengths) // 2]:.1f})"
        for what, lengths in sorted(found.items())
    ]
    lines += [f"{what:<42} {'none':>5}  {why}" for what, why in left_out.items()]
    lines.append(
        f"{journal.labelled} labels in {course.ended - course.begun:.0f} s; longest time without a region in all: "
        f"{max((length for length, _, _ in gaps), default=0):.1f} s; {journal.unanswered} calls without an answer"
    )
    lines += [f"{what}: {status} {code}, {count} times" for (what, status, code), count in _refused(journal)]
    lines.append("no region, because: " + ", ".join(f"{why} {n}" for why, n in journal.reasons.most_common()))
    ended = [f"{each.name} {each.ends_by_itself}" for each in processes if each.ends_by_itself]
    lines.append(f"ended by themselves, and were started again: {', '.join(ended) or 'none'}")
    return "\n".join(lines)


def _refused(journal: Journal) -> list[tuple[tuple[str, int, str], int]]:
    return sorted((key, count) for key, count in journal.answers.items() if key[1] >= 400)
