"""Commands of trained networks: they leave a server, and predict without one."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from service.arms import offered
from service.client import Client
from service.commands.connection import Connection, connected
from service.domain.classes import ClassSet
from service.domain.readings import Reading, color_of

app = typer.Typer()


@app.command("export-model")
@connected
def export_model(
    project: Annotated[int, typer.Argument(help="The project's number.")],
    connection: Connection,
    to: Annotated[Path, typer.Option(help="The folder to write.")] = Path("model"),
    kind: Annotated[
        str,
        typer.Option(help="segmenter: the newest that rounds are asked by; final: the newest of a finish job; source."),
    ] = "segmenter",
    checkpoint: Annotated[int | None, typer.Option(min=1, help="A checkpoint's number, instead of the newest.")] = None,
    format: Annotated[
        str, typer.Option(help="safetensors; torchscript or onnx: a graph beside it, for images of one size.")
    ] = "safetensors",
    size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of a graph's images; those of the project's first.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
) -> None:
    """Write a trained segmenter into a folder: model.safetensors, model.json, and perhaps a graph for other programs."""
    export = offered("export_model")(to=to, form=format, size=_parsed_size(size), overwrite=overwrite)
    client = connection.client(tries=6, timeout=600)
    detail = client.call("GET", f"/projects/{project}")
    chosen = _checkpoint(client, detail, kind=kind, number=checkpoint)
    written = export.write(
        client.content(f"/checkpoints/{chosen['id']}/file"),
        ClassSet.from_json(detail),
        example=None if format == "safetensors" else _example(client, project),
        source={
            "server": client.server,
            "project": {"id": detail["id"], "name": detail["name"]},
            "checkpoint": {key: chosen[key] for key in ("id", "kind", "created_at", "description")},
        },
    )
    typer.echo(f"Checkpoint {chosen['id']}, {chosen['kind']} of {detail['name']}: {', '.join(map(str, written))}")


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files, and folders of them.")],
    model: Annotated[Path, typer.Option(help="What export-model wrote, or a checkpoint's file.")],
    to: Annotated[Path, typer.Option(help="The folder to write label maps into.")] = Path("predictions"),
    classes: Annotated[
        Path | None, typer.Option(help="A classes.json, for a checkpoint that does not say its classes' ids.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Of more than 8 bits, as in `import`: minmax, percentile, bits:12, range:LOW:HIGH."),
    ] = None,
    background: Annotated[str, typer.Option(help="Under what is transparent: red,green,blue.")] = "255,255,255",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace label maps that are there.")] = False,
) -> None:
    """Write the label map of each image: an 8-bit PNG of class ids with the classes' colours, as the service predicts it."""
    reading = Reading(scale=scale, background=color_of(background))
    written = offered("predict")(images, model=model, to=to, classes=classes, reading=reading, overwrite=overwrite)
    typer.echo(f"{to}: {written} label maps")


def _checkpoint(client: Client, project: dict[str, Any], *, kind: str, number: int | None) -> dict[str, Any]:
    """The checkpoint that is meant. Raises ValueError where the project has none."""
    if number is None:
        newest = project["checkpoints"].get(kind)
        if newest is None:
            there = ", ".join(project["checkpoints"]) or "none"
            raise ValueError(f"{project['name']} has no {kind} yet; of its checkpoints there are: {there}.")
        number = newest["id"]
    for each in client.pages(f"/projects/{project['id']}/checkpoints", after=number - 1):
        if each["id"] == number:
            return dict(each)
        break
    raise ValueError(f"{project['name']} has no checkpoint {number}.")


def _example(client: Client, project: int) -> bytes | None:
    """What is seen of the project's first image, as a file, if it has any."""
    page = client.call("GET", f"/projects/{project}/images", params={"limit": 1})
    return client.content(f"/images/{page['items'][0]['id']}/seen") if page["items"] else None


def _parsed_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise ValueError(f"A size reads HEIGHTxWIDTH, such as 360x480, not {text!r}.")
    return int(found[1]), int(found[2])
