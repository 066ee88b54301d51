"""Policy uploads: a file is checked against the project it is for, and stored; its row comes after."""

import json
from typing import Any

from fastapi import UploadFile

from service.blobs import Blobs
from service.domain.classes import ClassSet
from service.domain.policy_files import check_policy, check_policy_weights
from service.domain.weights import WeightsError, read_weights
from service.errors import Invalid
from service.store.checkpoints import NewCheckpoint
from service.tables import Project

# What train-policy adds to a description, which `auto` goes by.
COMPARED = frozenset({"winner", "compared", "saved"})
MOST_OF_A_VALUE = 2000  # characters as JSON, its name included


def store_policy(file: UploadFile, project: Project, *, state_regions: int, blobs: Blobs) -> NewCheckpoint:
    """Check a policy's file against the project's classes and the regions of its D_S, then store it; its row is still needed.

    Raises Invalid, with the code of the rule that it breaks (service/domain/policy_files.py), before anything is stored.
    """
    data = file.file.read()
    try:
        weights = read_weights(data)
        check_policy(weights.description, ClassSet.from_json(project.classes), state_regions)
        check_policy_weights(weights)
    except WeightsError as error:
        raise Invalid(error.message, code=error.code) from error
    key = blobs.put_content("checkpoints", data, ".safetensors")
    return NewCheckpoint(project_id=project.id, kind="policy", blob_key=key, description=_kept(weights.description))


def _kept(description: dict[str, Any]) -> dict[str, Any]:
    """What a file says of itself, but for what is long: rows are read in pages of hundreds, and the file has it all.

    Nor what held-out games said of it: they were played on another project's images.
    """
    return {
        name: value
        for name, value in description.items()
        if name not in COMPARED and len(json.dumps([name, value])) <= MOST_OF_A_VALUE
    }
