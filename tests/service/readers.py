"""Writes the masks that others' programs read of an export: `python readers.py PROGRAM FOLDER MASKS.npz`.

Run by the python of their own environment, so nothing of this project is imported.
"""

import json
import sys
from pathlib import Path

import numpy as np

Masks = dict[str, np.ndarray]
"""Masks (bool, height x width) by a key of names, `|` between them."""


def datumaro(format: str, folder: str) -> Masks:
    """ITEM|CLASS, of a data set in a format of datumaro's."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(folder, format)
    categories = dataset.categories()[AnnotationType.label]
    masks: Masks = {}
    for item in dataset:
        for each in item.annotations:
            key = f"{item.id}|{categories[each.label].name}"
            masks[key] = masks.get(key, False) | (np.asarray(each.image) > 0)
    return masks


def label_studio(folder: str) -> Masks:
    """IMAGE|annotations or predictions|CLASS, of tasks; every label must be one of the interface's."""
    from label_studio_converter.brush import decode_from_annotation
    from label_studio_tools.core.label_config import parse_config

    interface = parse_config((Path(folder) / "label_config.xml").read_text())
    assert (interface["label"]["type"], interface["label"]["to_name"]) == ("BrushLabels", ["image"])
    masks: Masks = {}
    for task in json.loads((Path(folder) / "tasks.json").read_text()):
        for kind in ("annotations", "predictions"):
            results = [{**each, **each["value"]} for held in task[kind] for each in held["result"]]
            assert {each["from_name"] for each in results} <= set(interface)
            found = decode_from_annotation("label", results)
            assert len(found) == len(results)
            for label in interface["label"]["labels"]:
                if (mask := found.pop(f"label-{label}-0", None)) is not None:
                    masks[f"{task['data']['name']}|{kind}|{label}"] = mask > 0
            assert not found
    return masks


def main(program: str, folder: str, to: str) -> None:
    """Read as `label-studio`, or as a format of datumaro's."""
    masks = label_studio(folder) if program == "label-studio" else datumaro(program, folder)
    np.savez(to, allow_pickle=False, **masks)


if __name__ == "__main__":
    main(*sys.argv[1:])
