"""The command `regionwise import`."""

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from service.arms import offered
from service.command_options import takes
from service.commands.connection import Connection, ServerOption, TokenFileOption, TokenOption
from service.domain.pages import PagesTaken
from service.reading_options import ReadingOptions

HELP = """Make a project of a data set: its images with their splits, and label maps but for the pool's.

Every file is read before anything is sent. The same command with --into goes on where it stopped.

A folder holds images/ (PNG, JPEG, WebP, TIFF, BMP; sub-folders are part of the names), labels/ with label maps of
class ids for some of them, under the same names, classes.json, and perhaps splits.json. A list is a CSV with the
columns image, label and split. What is packed, or lies at a URL (s3://bucket/prefix), is unpacked or copied first, or
stays where it is (--reference).

Other tools' files are read too: COCO's, Pascal VOC's, Label Studio's and CVAT's (`--split`, `--rest`), and what
`regionwise export` has written (regionwise), whose labels go in again.

Examples: `regionwise import folder --root nuclei --binary --dry-run`,
`regionwise import folder --root plates --labels '{stem}_mask' --map 255=1 --scale percentile`,
`regionwise import folder --root s3://lab/stacks --pages all --reference`.
"""


@dataclass(frozen=True, kw_only=True)
class ImportOptions(ReadingOptions):
    """What `import` is told."""

    dataset: Annotated[
        str,
        typer.Argument(
            help="camvid, cityscapes, folder, streets; coco, voc, labelstudio, cvat; regionwise (an export)."
        ),
    ]
    root: Annotated[
        str | None,
        typer.Option(
            help="Where the data set is: a folder, a list (.csv), an archive (.zip, .tar, .tar.gz, .tar.xz, .tgz), a URL."
        ),
    ] = None
    name: Annotated[str | None, typer.Option(help="Of the new project; none: the folder's, or the archive's.")] = None
    into: Annotated[str | None, typer.Option(help="Name of a project that is there, to add to.")] = None
    settings: Annotated[str, typer.Option(help="Project settings as JSON.")] = "{}"
    pages: Annotated[
        PagesTaken | None, typer.Option(help="Of TIFFs with several pages: all, as images, or the first.")
    ] = None
    classes: Annotated[Path | None, typer.Option(help="The classes, if not classes.json beside the images.")] = None
    reference: Annotated[
        bool, typer.Option("--reference", help="Leave images at their URL, where the service reads them itself.")
    ] = False
    background: Annotated[str, typer.Option(help="Under what is transparent: red,green,blue.")] = "255,255,255"
    split: Annotated[str, typer.Option(help="Of images for which another tool's files say none; none: the pool.")] = ""
    rest: Annotated[
        str, typer.Option(help="The class of pixels that are in no shape, of formats of shapes; none: no label.")
    ] = ""
    pool_labels: Annotated[
        bool, typer.Option("--pool-labels", help="Send the pool's labels too: those of the regions that they cover.")
    ] = False
    replace: Annotated[
        bool, typer.Option("--replace", help="Make new versions of labels of the pool that have other pixels.")
    ] = False
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Go on without files that cannot be taken.")] = False
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Take a picture under each of its names.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False
    server: ServerOption = None
    token: TokenOption = None
    token_file: TokenFileOption = None

    @property
    def connection(self) -> Connection:
        """Which server is meant."""
        return Connection(server_option=self.server, token_option=self.token, token_file=self.token_file)


@takes(ImportOptions)
def _import(context: typer.Context, given: ImportOptions) -> None:
    with closing(given.connection) as connection:
        client = connection.client_without_need() if given.dry_run else connection.client(tries=6)
        made = offered("import")(
            client,
            dataset=given.dataset,
            root=given.root,
            name=given.name,
            into=given.into,
            settings=_settings(given.settings),
            labels=given.labels,
            label_reading=given.label_reading,
            scale=given.scale,
            background=given.background,
            pages=given.pages,
            classes=given.classes,
            reference=given.reference,
            most_ignored=given.most_ignored,
            split=given.split,
            rest=given.rest,
            pool_labels=given.pool_labels,
            replace=given.replace,
            skip_bad=given.skip_bad,
            keep_twins=given.keep_duplicates,
            strays=given.ignore_strays,
            anyway=given.anyway,
            dry_run=given.dry_run,
        )
    if made is not None:
        typer.echo(f"Project {made}")


def _settings(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        example = '{"budget": 1000}'
        raise ValueError(f"--settings takes JSON, such as '{example}', and {text[:80]!r} is none: {error}.") from error


def add_import(app: typer.Typer) -> None:
    """Give the application the command."""
    app.command("import", help=HELP)(_import)
