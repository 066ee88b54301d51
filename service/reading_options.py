"""The options that say how own label maps and images are read, of every command that reads a folder of them."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """What is said of own files; the defaults take class ids under the images' names, and 8 bits."""

    labels: Annotated[
        str, typer.Option(help="How label maps are named, without suffix: '{stem}_mask' for a_mask.png of a.jpg.")
    ] = "{stem}"
    values: Annotated[
        list[str] | None, typer.Option("--map", help="A value of label maps and the class id it stands for: 255=1.")
    ] = None
    binary: Annotated[bool, typer.Option("--binary", help="Label maps: 0 is the first class, all else the second.")] = (
        False
    )
    colors: Annotated[bool, typer.Option("--colors", help="Label maps are in the classes' colours.")] = False
    ignore_unlisted: Annotated[
        bool, typer.Option("--ignore-unlisted", help="Values and colours of no class are ignored pixels.")
    ] = False
    scale: Annotated[
        str | None, typer.Option(help="Of more than 8 bits: minmax, percentile, bits:12, range:LOW:HIGH.")
    ] = None
    ignore_strays: Annotated[
        bool, typer.Option("--ignore-strays", help="Leave out label maps that match no image.")
    ] = False
    most_ignored: Annotated[float, typer.Option(help="Stop where a larger share of labelled pixels is ignored.")] = 0.5
    anyway: Annotated[bool, typer.Option("--anyway", help="Go on where label maps or splits look wrong.")] = False

    @property
    def label_reading(self) -> str:
        """What is said of label maps' values, in the words of service.domain.label_readings."""
        words = [*(self.values or ())]
        words += [word for word, on in (("binary", self.binary), ("colors", self.colors)) if on]
        return ",".join([*words, *["ignore-unlisted"] * self.ignore_unlisted])
