"""Commands that list, rename and delete projects and images; what a deletion takes is said first."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from service.client import ApiError, Client
from service.commands.connection import Connection, connected
from service.commands.finding import found
from service.commands.tables import or_dash, show, table

projects_app = typer.Typer(help="All projects, and what each is set to; rename and delete them.")
images_app = typer.Typer(no_args_is_help=True, help="Images of a project: list, rename and delete them.")

WhichProject = Annotated[str, typer.Argument(help="A project's name, or its number.")]
WhichImage = Annotated[str, typer.Argument(help="An image's name, or its number.")]
NewName = Annotated[str, typer.Argument(help="Another name, unlike every other.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@projects_app.callback(invoke_without_command=True)
@connected
def projects(context: typer.Context, connection: Connection) -> None:
    """All projects, and what each is set to; rename and delete them."""
    if context.invoked_subcommand is not None:
        if connection != Connection():
            raise ValueError(f"Say --server and --token behind `projects {context.invoked_subcommand}`.")
        return
    rows = table("project", "name", "state", "classes", "segmenter", "strategy", "budget", "made")
    for each in connection.client().pages("/projects"):
        settings = each["settings"]
        rows.add_row(
            str(each["id"]),
            escape(each["name"]),
            "active" if each["active"] else "paused",
            str(len(each["classes"])),
            settings["segmenter"],
            settings["strategy"],
            or_dash(settings["budget"]),
            each["created_at"][:10],
        )
    show(rows)


@projects_app.command("rename")
@connected
def rename_project(project: WhichProject, name: NewName, connection: Connection) -> None:
    """Give a project another name."""
    client = connection.client()
    meant = _project(client, project)
    renamed = client.call("PATCH", f"/projects/{meant['id']}", json={"name": name})
    typer.echo(f"Project {meant['id']}, {meant['name']}, is called {renamed['name']} now.")


@projects_app.command("delete")
@connected
def delete_project(
    project: WhichProject,
    connection: Connection,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Labels too that were never exported.")] = False,
    export: Annotated[Path | None, typer.Option(help="Export all labels to this zip before.")] = None,
) -> None:
    """Delete a project with its images, labels, rounds, networks and jobs, for good. Asks before."""
    client = connection.client(timeout=600)
    meant = _project(client, project)
    if export is not None:
        size = client.download(f"/projects/{meant['id']}/export", export)
        typer.echo(f"{export}: {size:,} bytes")
    _delete(client, f"/projects/{meant['id']}", yes=yes, force=force)
    typer.echo(f"The project {meant['name']} is deleted.")


@images_app.command("list")
@connected
def list_images(
    project: WhichProject,
    connection: Connection,
    split: Annotated[str | None, typer.Option(help="Only images of this split.")] = None,
) -> None:
    """Images of a project, in the order of arrival."""
    client = connection.client()
    rows = table("image", "name", "split", "height", "width", "label map", "came")
    narrowed: dict[str, Any] = {} if split is None else {"split": split}
    for each in client.pages(f"/projects/{_project(client, project)['id']}/images", **narrowed):
        size = str(each["height"]), str(each["width"])
        mapped = "yes" if each["has_label_map"] else "-"
        rows.add_row(str(each["id"]), escape(each["name"]), each["split"], *size, mapped, each["created_at"][:10])
    show(rows)


@images_app.command("rename")
@connected
def rename_image(project: WhichProject, image: WhichImage, name: NewName, connection: Connection) -> None:
    """Give an image another name."""
    client = connection.client()
    meant = _image(client, project, image)
    renamed = client.call("PATCH", f"/images/{meant['id']}", json={"name": name})
    typer.echo(f"Image {meant['id']}, {meant['name']}, is called {renamed['name']} now.")


@images_app.command("delete")
@connected
def delete_image(project: WhichProject, image: WhichImage, connection: Connection, yes: Yes = False) -> None:
    """Delete an image with its regions and their labels, for good. Asks before."""
    client = connection.client()
    meant = _image(client, project, image)
    _delete(client, f"/images/{meant['id']}", yes=yes)
    typer.echo(f"The image {meant['name']} is deleted.")


def _project(client: Client, project: str) -> dict[str, Any]:
    return found(client, project, "/projects", "regionwise projects")


def _image(client: Client, project: str, image: str) -> dict[str, Any]:
    number = _project(client, project)["id"]
    return found(client, image, f"/projects/{number}/images", f"regionwise images list {number}")


def _delete(client: Client, path: str, *, yes: bool, force: bool = False) -> None:
    """Have the server say what would go, and go on where that is wished. Raises typer.Abort where it is not."""
    try:
        client.call("DELETE", path)
    except ApiError as error:
        if error.code != "confirm_deletion":
            raise
        name = error.detail["confirm"]
        typer.echo(error.message.partition(" To go on,")[0], err=True)
    else:
        raise AssertionError("Nothing is deleted without its name.")
    if not yes and typer.prompt(f"Type {name} to delete it", err=True, default="", show_default=False) != name:
        raise typer.Abort
    client.call("DELETE", path, params={"confirm": name, **({"force": True} if force else {})})
