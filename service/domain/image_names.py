"""Names of images: the paths of their files, made alike on all systems."""

import unicodedata
from pathlib import PurePosixPath

LONGEST = 255
# Control characters, halves of characters, and separators of lines: nothing that a file of an image should be called.
_NEVER = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def image_name(path: str) -> str:
    """A file's path below where it came from, as an image's name: folders are part of it.

    Raises ValueError for one that is empty, longer than LONGEST, leads outside, or cannot be written down.
    """
    parts = [part.strip() for part in path.replace("\\", "/").split("/")]
    name = "/".join(part for part in parts if part not in ("", "."))
    if not name.strip("./") or len(name) > LONGEST:
        raise ValueError(f"A file needs a name of 1 to {LONGEST} characters; {path[:80]!a} is none.")
    if ".." in parts or '"' in name or any(unicodedata.category(character) in _NEVER for character in name):
        raise ValueError(
            f"The name {path[:80]!a} holds `..`, a double quote or what is no character: call the file otherwise."
        )
    return name


def stem_of(name: str) -> str:
    """An image's name without its suffix, its folders kept: what its label map is called."""
    return str(PurePosixPath(name).with_suffix(""))
