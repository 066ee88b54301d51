"""URLs of files and folders of this machine: as fsspec reads them, with nothing encoded, and as SQLAlchemy does, encoded."""

from pathlib import Path
from urllib.parse import unquote


def file_url(path: Path) -> str:
    """What fsspec finds at this very path: it takes what stands in a URL of a file as it is, blanks and umlauts too."""
    return f"file://{path.absolute()}"


def kept_url(folder: Path) -> str:
    """The same of a folder that earlier versions may have made under its encoded name: of that one where it alone is there."""
    encoded = Path(folder.absolute().as_uri().removeprefix("file://"))
    return file_url(encoded if encoded.is_dir() and not folder.is_dir() else folder)


def sqlite_url(path: Path) -> str:
    """The database in this very file, or, where it alone is there, in the one that earlier versions took `?` and `%` for."""
    whole = str(path.absolute())
    before = unquote(whole.partition("?")[0])
    found = before if Path(before).is_file() and not path.is_file() else whole
    return f"sqlite:///{found.replace('%', '%25').replace('?', '%3F').replace('#', '%23')}"
