"""Kinds of versions of a region's label: who or what each was made by."""

from typing import Literal

LabelKind = Literal["annotated", "imported", "agreed", "accepted", "corrected", "migrated"]

DRAWN: tuple[LabelKind, ...] = ("annotated", "imported")
"""What somebody says of a region; the rest are decisions about it, or follow from changes of classes."""

REVIEWED: tuple[LabelKind, ...] = ("accepted", "corrected", "imported")
"""What a reviewer has decided, or has brought along: only reviewers import labels."""
