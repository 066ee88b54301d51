"""Writes the report of experiments: a page, its Markdown, a table of all measurements and the figures."""

from collections.abc import Sequence
from pathlib import Path

from workers.files import write_atomically
from workers.report.analysis.claims import judge
from workers.report.analysis.comparisons import analyse
from workers.report.data.csv import results_csv
from workers.report.data.reading import read_runs
from workers.report.page.page import html_page, markdown_page, pictures_of
from workers.report.page.sections import sections_of

__all__ = ["write_report"]


def write_report(runs: Sequence[Path], out: Path) -> str:
    """report.html, report.md, results.csv and figures/*.svg from run folders; returns the Markdown.

    Runs may be half finished: what is missing is said.
    Raises ValueError where a folder or a file in it cannot be read, or nothing was measured yet.
    """
    studies = read_runs(runs)
    analyses = [analyse(study) for study in studies]
    sections = sections_of(analyses, judge(analyses))
    pictures = pictures_of(sections)
    markdown = markdown_page(sections)
    for picture in pictures:
        write_atomically(out / "figures" / f"{picture.name}.svg", picture.alone().encode())
    write_atomically(out / "results.csv", results_csv(studies).encode())
    write_atomically(out / "report.md", markdown.encode())
    write_atomically(out / "report.html", html_page(sections).encode())
    return markdown
