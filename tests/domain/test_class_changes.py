"""Classes that change while labels exist, held against a plain account of what became of each class."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import class_changes as changes
from service.domain.class_changes import ChangeRefused
from service.domain.classes import IGNORE, ClassSet, LabelClass, RetiredClass
from service.domain.metrics import class_counts

START = ClassSet(
    classes=tuple(LabelClass(id=id, name=f"class {id}", color=(id, id, id)) for id in (3, 0, 7, 9)), ignore_id=5
)


def test_classes_without_changes_are_written_as_before_and_those_with_come_back() -> None:
    assert START.to_json().keys() == {"classes", "ignore_id"}
    assert all(each.keys() == {"id", "name", "color"} for each in START.to_json()["classes"])
    changed = changes.renamed(changes.removed(changes.merged(START, [3], 7), 7, None), 9, "nine")
    assert ClassSet.from_json(changed.to_json()) == changed
    assert changed.changes == 3
    assert changed.to_json()["retired"][0] == {
        "id": 3, "name": "class 3", "color": [3, 3, 3], "into": 7, "place": 0,
    }  # fmt: skip


def test_label_maps_of_before_are_read_by_what_became_of_their_classes() -> None:
    merged = changes.merged(START, [0, 7], 9)
    label_map = np.array([[3, 0, 7, 9, 5]], np.uint8)
    assert merged.to_indices(label_map).tolist() == [[0, 1, 1, 1, IGNORE]]
    assert merged.in_todays_ids(label_map).tolist() == [[3, 9, 9, 9, 5]]
    voided = changes.removed(merged, 9, None) if len(merged) > 2 else None
    assert voided is None  # two classes are the least
    three = changes.removed(START, 0, None)
    assert three.to_indices(label_map).tolist() == [[0, IGNORE, 1, 2, IGNORE]]


def test_counts_that_are_kept_stay_in_their_places_when_classes_go_and_come() -> None:
    kept = START.kept_counts([1, 2, 3, 4])
    assert kept == [1, 2, 3, 4]
    merged = changes.merged(START, [0], 9)
    assert merged.counts_now([kept]).tolist() == [[1, 3, 6]]
    more = changes.added(merged, name="new", color=(1, 2, 3))
    assert more.ids == (3, 7, 9, 10)
    assert more.counts_now([kept]).tolist() == [[1, 3, 6, 0]]
    assert more.kept_counts([1, 3, 6, 8]) == [1, 0, 3, 6, 8]
    back = changes.reverted(more, START, merged)
    assert back.counts_now([kept, [1, 0, 3, 6, 8]]).tolist() == [[1, 2, 3, 4, 0], [1, 0, 3, 6, 8]]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("no_class", lambda: changes.renamed(START, 1, "one")),
        ("no_class", lambda: changes.removed(changes.merged(START, [3], 7), 0, 3)),
        ("bad_classes", lambda: changes.renamed(START, 3, "class 0")),
        ("id_taken", lambda: changes.added(changes.removed(START, 3, None), name="x", color=(0, 0, 0), class_id=3)),
        ("id_taken", lambda: changes.added(START, name="x", color=(0, 0, 0), class_id=5)),
        ("into_itself", lambda: changes.merged(START, [3, 0], 0)),
        ("bad_classes", lambda: changes.merged(START, [3, 0, 7], 9)),
    ],
)
def test_what_cannot_be_is_refused(code: str, change: Callable[[], ClassSet]) -> None:
    with pytest.raises(ChangeRefused) as refused:
        change()
    assert refused.value.code == code


def test_a_change_is_taken_back_while_others_stay_and_not_where_its_class_was_changed_again() -> None:
    merged = changes.merged(START, [3], 7)
    later = changes.renamed(changes.removed(merged, 7, 9), 0, "zero")
    back = changes.reverted(later, START, merged)
    assert [(each.id, each.name) for each in back.classes] == [(3, "class 3"), (0, "zero"), (9, "class 9")]
    with pytest.raises(ChangeRefused, match="changed again since"):
        changes.reverted(back, START, merged)
    renamed = changes.renamed(START, 0, "zero")
    again = changes.renamed(renamed, 0, "null")
    with pytest.raises(ChangeRefused, match="changed again since"):
        changes.reverted(again, START, renamed)
    assert changes.reverted(renamed, START, renamed).names == START.names


def test_an_added_class_that_is_taken_back_is_retired_and_its_id_stays_its_own() -> None:
    added = changes.added(START, name="new", color=(0, 0, 0), class_id=200)
    back = changes.reverted(added, START, added)
    assert back.classes == START.classes
    assert [(each.id, each.into, each.place) for each in back.retired] == [(200, None, 4)]
    assert 200 not in changes.added(back, name="new", color=(0, 0, 0)).ids


def test_a_network_of_before_is_carried_over_to_the_classes_of_now() -> None:
    merged = changes.merged(changes.renamed(START, 3, "three"), [0], 9)
    now = changes.added(merged, name="new", color=(0, 0, 0))
    assert changes.carried_from(START, now) == [(0,), (2,), (1, 3), ()]
    assert changes.carried_from(now, changes.reverted(now, changes.renamed(START, 3, "three"), merged)) == [
        (0,), (2,), (1,), (2,), (3,),
    ]  # fmt: skip
    assert changes.carried_from(START, changes.renamed(START, 3, "three")) is None
    assert changes.carried_from(changes.named_so(START.names, now), now) == [(0,), (2,), (1, 3), ()]
    stranger = replace(START, classes=(*START.classes[1:], LabelClass(id=3, name="else", color=(0, 0, 0))))
    with pytest.raises(ValueError, match="none of theirs"):
        changes.carried_from(stranger, now)


def test_label_maps_of_classes_of_before_can_be_read_and_those_of_strangers_cannot() -> None:
    now = changes.merged(changes.renamed(START, 3, "three"), [0], 9)
    assert changes.reads(now, START)
    assert changes.reads(now, now)
    assert changes.reads(START, START)
    assert not changes.reads(START, now)
    assert not changes.reads(now, replace(START, ignore_id=6))
    stranger = replace(START, classes=(*START.classes[1:], LabelClass(id=3, name="else", color=(0, 0, 0))))
    assert not changes.reads(now, stranger)


def test_retired_classes_that_lead_nowhere_or_stand_where_others_do_are_refused() -> None:
    gone = RetiredClass(id=1, name="gone", color=(0, 0, 0), into=1, place=4)
    with pytest.raises(ValueError, match="lead to no class"):
        replace(START, retired=(gone,))
    with pytest.raises(ValueError, match="places"):
        replace(START, retired=(replace(gone, into=None, place=9),))


class Account:
    """What became of each class, written down change by change, and undone by going through all others again."""

    def __init__(self) -> None:
        self.done: list[tuple[str, tuple[int, ...], int | None]] = []

    def now(self, class_id: int) -> int:
        for kind, gone, into in self.done:
            if kind == "retire" and class_id in gone:
                class_id = START.ignore_id if into is None else into
        return class_id


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_random_changes_and_reversals_read_label_maps_as_a_plain_account_does(data: st.DataObject, seed: int) -> None:
    now, account = START, Account()
    made: list[tuple[ClassSet, ClassSet, int]] = []
    for _ in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(["add", "merge", "remove", "revert", "rename"]))
        before = now
        try:
            if kind == "add":
                now = changes.added(now, name=f"new {now.changes}", color=(0, 0, 0))
                account.done.append(("add", (now.ids[-1],), None))
            elif kind == "rename":
                now = changes.renamed(now, data.draw(st.sampled_from(now.ids)), f"name {now.changes}")
                account.done.append(("rename", (), None))
            elif kind == "revert" and made:
                of = data.draw(st.sampled_from(made))
                now = changes.reverted(now, of[0], of[1])
                if account.done[of[2]][0] == "add":
                    account.done.append(("retire", account.done[of[2]][1], None))
                else:
                    account.done[of[2]] = ("rename", (), None)
                    account.done.append(("rename", (), None))
                made.remove(of)
                continue
            else:
                gone = tuple(data.draw(st.lists(st.sampled_from(now.ids), min_size=1, max_size=2, unique=True)))
                into = data.draw(st.sampled_from([None, *(each for each in now.ids if each not in gone)]))
                if kind == "merge" and into is not None:
                    now = changes.merged(now, gone, into)
                else:
                    gone = gone[:1]
                    now = changes.removed(now, gone[0], into)
                account.done.append(("retire", gone, into))
        except ChangeRefused:
            assert now == before
            continue
        made.append((before, now, len(account.done) - 1))
    label_map = np.random.default_rng(seed).choice([*now.known_ids, now.ignore_id], size=(6, 5)).astype(np.uint8)
    wanted = np.vectorize(account.now)(label_map)
    assert (now.in_todays_ids(label_map) == wanted).all()
    indices = now.to_indices(label_map)
    assert (now.to_ids(indices) == wanted).all()
    # Counts that were kept of the label map, by places, are those of what it is read as.
    place_of = {id: place for place, id in zip(now.places, now.ids, strict=True)}
    place_of |= {each.id: each.place for each in now.retired}
    kept = [0] * len(place_of)
    for id, place in place_of.items():
        kept[place] = int((label_map == id).sum())
    assert now.counts_now([kept])[0].tolist() == class_counts(indices, len(now)).tolist()
