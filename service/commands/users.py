"""Commands about who may call: `user add` writes to the database of this machine, `users ...` ask a server."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from sqlalchemy import make_url

from service import migrate
from service.auth import Role, hash_token, new_token
from service.commands.connection import Connection, connected
from service.commands.finding import found
from service.commands.tables import show, table
from service.db import Database
from service.settings import get_settings
from service.store.annotators import add_annotator

user_app = typer.Typer(no_args_is_help=True, help="Who may call, in this machine's database: for the first admin.")
users_app = typer.Typer(no_args_is_help=True, help="Who may call, by a server that runs. For admins.")

Name = Annotated[str, typer.Argument(help="A name unlike every other.")]
RoleOption = Annotated[Role, typer.Option(help="admin, reviewer or annotator.")]
Who = Annotated[str, typer.Argument(help="A name, or a number of `regionwise users list`.")]


@user_app.command("add")
def user_add(
    name: Name,
    role: RoleOption = "annotator",
    create: Annotated[bool, typer.Option("--create", help="Make the database where there is none.")] = False,
) -> None:
    """Add somebody who may call to the database itself, and print the token once. No server needs to run."""
    settings = get_settings()
    url = settings.resolved_database_url
    shown = make_url(url).render_as_string()
    if not create and not migrate.exists(url):
        raise ValueError(
            f"There is no database at {shown}: a server would not know the token. Run this where the server runs, or set "
            "REGIONWISE_DATA_DIR or REGIONWISE_DATABASE_URL as there; with --create a new one is made."
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(url)
    token, database = new_token(), Database(url)
    with database.write() as session:
        add_annotator(session, name=name, role=role, token_hash=hash_token(token), now=datetime.now(UTC))
    database.engine.dispose()
    typer.echo(f"Added {name}, {role}, to the database {shown}. The token is shown only now:", err=True)
    typer.echo(token)


@users_app.command("list")
@connected
def users_list(connection: Connection) -> None:
    """Everybody who may call, or might once."""
    rows = table("number", "name", "role", "token", "added")
    for each in connection.client().pages("/annotators"):
        works = "works" if each["active"] else "revoked"
        rows.add_row(str(each["id"]), escape(each["name"]), each["role"], works, each["created_at"][:10])
    show(rows)


@users_app.command("add")
@connected
def users_add(name: Name, connection: Connection, role: RoleOption = "annotator") -> None:
    """Add somebody who may call, and print the token once."""
    client = connection.client(tries=1)  # of two answers to one request the second would be a refusal
    token = client.call("POST", "/annotators", json={"name": name, "role": role})["token"]
    typer.echo(f"Added {name}, {role}, at {client.server}. The token is shown only now:", err=True)
    typer.echo(token)


@users_app.command("revoke")
@connected
def users_revoke(who: Who, connection: Connection) -> None:
    """Stop somebody's token for good. What they labelled stays, with their name."""
    client = connection.client()
    annotator = found(client, who, "/annotators", "regionwise users list", "nobody")
    client.call("DELETE", f"/annotators/{annotator['id']}")
    typer.echo(f"The token of {annotator['name']} works no more at {client.server}.")


@users_app.command("rotate")
@connected
def users_rotate(who: Who, connection: Connection) -> None:
    """Give somebody a new token, and print it once; the old one works no more."""
    annotator = found(connection.client(), who, "/annotators", "regionwise users list", "nobody")
    client = connection.client(
        tries=1
    )  # an answer that was lost cannot be had again: a second token would replace the first
    token = client.call("POST", f"/annotators/{annotator['id']}/token")["token"]
    typer.echo(f"A new token of {annotator['name']} at {client.server}, which is shown only now:", err=True)
    typer.echo(token)
