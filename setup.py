"""Packages hold the pages, built: one that would lack them is not made, unless that is what is wanted."""

import os
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.sdist import sdist

PAGES = Path(__file__).parent / "service" / "static" / "index.html"


def require_pages() -> None:
    """Refuse to go on where nobody has built the pages."""
    if not PAGES.exists() and not os.environ.get("REGIONWISE_WITHOUT_PAGES"):
        raise SystemExit(
            "The pages are not built, and the package would have none. `make wheel` builds them, with Node 20 or newer; "
            "REGIONWISE_WITHOUT_PAGES=1 packs the API alone."
        )


class WheelWithPages(bdist_wheel):
    """A wheel; whoever installs it needs no Node."""

    def run(self) -> None:
        """Pack, if the pages are there."""
        require_pages()
        super().run()


class SourcesWithPages(sdist):
    """An archive of the sources, the built pages among them."""

    def run(self) -> None:
        """Pack, if the pages are there."""
        require_pages()
        super().run()


setup(cmdclass={"bdist_wheel": WheelWithPages, "sdist": SourcesWithPages})
