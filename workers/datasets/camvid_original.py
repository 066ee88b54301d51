"""CamVid as its authors gave it out: whole frames, label maps in 32 colours, read as the eleven classes that are measured on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from service.domain.classes import CAMVID, IGNORE, Color
from workers.datasets.base import DatasetError, Pixels, read_rgb
from workers.datasets.files import images_by_name, require_folder

IMAGES, LABELS, ENDING = "701_StillsRaw_full", "LabeledApproved_full", "_L"
_VOID: Color = (0, 0, 0)
# The colours of label_colors.txt by the class of SegNet's release that each of the 32 belongs to. The grouping is the one in
# which the eleven classes are commonly evaluated (MathWorks, "Semantic Segmentation Using Deep Learning", camvidPixelLabelIDs).
GROUPS: Mapping[str, Mapping[str, Color]] = {
    "Sky": {"Sky": (128, 128, 128)},
    "Building": {
        "Building": (128, 0, 0),
        "Archway": (192, 0, 128),
        "Bridge": (0, 128, 64),
        "Tunnel": (64, 0, 64),
        "Wall": (64, 192, 0),
    },
    "Pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "Road": {"Road": (128, 64, 128), "LaneMkgsDriv": (128, 0, 192), "LaneMkgsNonDriv": (192, 0, 64)},
    "Pavement": {"Sidewalk": (0, 0, 192), "ParkingBlock": (64, 192, 128), "RoadShoulder": (128, 128, 192)},
    "Tree": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "SignSymbol": {"SignSymbol": (192, 128, 128), "Misc_Text": (128, 128, 64), "TrafficLight": (0, 64, 64)},
    "Fence": {"Fence": (64, 64, 128)},
    "Car": {
        "Car": (64, 0, 128),
        "OtherMoving": (128, 64, 64),
        "SUVPickupTruck": (64, 128, 192),
        "Train": (192, 64, 128),
        "Truck_Bus": (192, 128, 192),
    },
    "Pedestrian": {
        "Pedestrian": (64, 64, 0),
        "Animal": (64, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Child": (192, 128, 64),
    },
    "Bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
}
_INDEX_OF = {color: CAMVID.names.index(name) for name, colors in GROUPS.items() for color in colors.values()}
_INDEX_OF[_VOID] = IGNORE


def is_original(root: Path) -> bool:
    """Whether a folder holds CamVid in its authors' layout, or a part of it."""
    return (root / IMAGES).is_dir() or (root / LABELS).is_dir()


def original_pairs(root: Path) -> list[tuple[str, Path, Path | None]]:
    """(name, image, where its label map should be) of all frames, in order of name. Raises DatasetError for a missing folder."""
    images = require_folder(root / IMAGES, "CamVid's frames, NAME.png")
    labels = require_folder(root / LABELS, f"the label maps of {images}, NAME{ENDING}.png")
    found = images_by_name(images, images.iterdir())
    return [(name, path, labels / f"{name}{ENDING}.png") for name, path in found.items()]


def read_original_labels(path: Path) -> Pixels:
    """A label map in the 32 colours as indices of CAMVID, IGNORE where it is void. Raises DatasetError for another colour."""
    parts = read_rgb(path).astype(np.uint32)
    codes, places = np.unique((parts[..., 0] << 16) + (parts[..., 1] << 8) + parts[..., 2], return_inverse=True)
    colors = [(code >> 16, code >> 8 & 255, code & 255) for code in codes.tolist()]
    unknown = [color for color in colors if color not in _INDEX_OF]
    if unknown:
        named = ", ".join("{} {} {}".format(*color) for color in unknown[:5])
        raise DatasetError(f"{path} has colours that are none of CamVid's 32: {named}.")
    indices = np.array([_INDEX_OF[color] for color in colors], np.uint8)
    return indices[places.reshape(parts.shape[:2])]
