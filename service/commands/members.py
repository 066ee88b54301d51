"""Commands about who takes part in a project, and in which role."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from service.client import Client
from service.commands.connection import Connection, connected
from service.commands.finding import found
from service.commands.tables import show, table
from service.schemas.fields import Role

app = typer.Typer(
    no_args_is_help=True, help="Who takes part in a project, and in which role. For the project's admins."
)

WhichProject = Annotated[str, typer.Argument(help="A project's name, or its number.")]
Name = Annotated[str, typer.Argument(help="What somebody is called.")]
RoleThere = Annotated[Role | None, typer.Option(help="admin, reviewer or annotator; none: as on the server.")]


@app.command("list")
@connected
def members_list(project: WhichProject, connection: Connection) -> None:
    """Members of a project; admins of the server see it without being one."""
    client = connection.client()
    rows = table("number", "name", "role", "may call", "since")
    for each in client.pages(_members(client, project)):
        active = "yes" if each["active"] else "no"
        rows.add_row(str(each["annotator_id"]), escape(each["name"]), each["role"], active, each["created_at"][:10])
    show(rows)


@app.command("add")
@connected
def members_add(project: WhichProject, names: list[str], connection: Connection, role: RoleThere = None) -> None:
    """Make one or several people members, by their names."""
    client = connection.client()
    path = _members(client, project)
    for name in names:
        added = client.call("POST", path, json={"name": name, "role": role})
        typer.echo(f"{added['name']} is a member as {added['role']}.")


@app.command("change")
@connected
def members_change(
    project: WhichProject, name: Name, role: Annotated[Role, typer.Argument(help="The role.")], connection: Connection
) -> None:
    """Give a member another role in the project."""
    client = connection.client()
    changed = client.call("PATCH", _member(client, project, name), json={"role": role})
    typer.echo(f"{changed['name']} is a member as {changed['role']}.")


@app.command("remove")
@connected
def members_remove(project: WhichProject, name: Name, connection: Connection) -> None:
    """Take somebody out of a project. What they labelled stays, with their name."""
    client = connection.client()
    removed = client.call("DELETE", _member(client, project, name))
    typer.echo(f"{removed['name']} is no member any more.")


@app.command("open")
@connected
def members_open(project: WhichProject, connection: Connection) -> None:
    """Make everybody a member, and whoever is added to the service later."""
    client = connection.client()
    client.call("PATCH", f"/projects/{_project(client, project)['id']}", json={"open_to_all": True})
    typer.echo("Everybody is a member, and whoever is added to the service will be.")


@app.command("close")
@connected
def members_close(project: WhichProject, connection: Connection) -> None:
    """From now on people become members by `members add` alone. Those who are members stay so."""
    client = connection.client()
    client.call("PATCH", f"/projects/{_project(client, project)['id']}", json={"open_to_all": False})
    typer.echo("Whoever is added to the service is no member from now on.")


def _project(client: Client, project: str) -> dict[str, Any]:
    return found(client, project, "/projects", "regionwise projects")


def _members(client: Client, project: str) -> str:
    return f"/projects/{_project(client, project)['id']}/members"


def _member(client: Client, project: str, name: str) -> str:
    path = _members(client, project)
    for each in client.pages(path):
        if name == each["name"]:
            return f"{path}/{each['annotator_id']}"
    raise ValueError(f"{name} is no member; `regionwise members list` shows who is.")
