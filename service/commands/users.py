"""Commands about who may call: `user add` writes to the database of this machine, `users ...` ask a server."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from sqlalchemy import make_url

from service import migrate
from service.auth import Role, kept_of, new_token
from service.commands.connection import Connection, connected
from service.commands.finding import found
from service.commands.tables import show, table
from service.db import Database
from service.settings import get_settings
from service.store.annotators import add_annotator, named
from service.store.tokens import add_token

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
        add_annotator(session, name=name, role=role, **kept_of(token), now=datetime.now(UTC))
    database.engine.dispose()
    typer.echo(f"Added {name}, {role}, to the database {shown}. The token is shown only now:", err=True)
    typer.echo(token)


@user_app.command("token")
def user_token(name: Name) -> None:
    """Give somebody one more token, in the database itself, and print it once: for an admin who has lost theirs."""
    url = get_settings().resolved_database_url
    shown = make_url(url).render_as_string()
    if not migrate.exists(url):
        raise ValueError(f"There is no database at {shown}. Run this where the server runs.")
    migrate.upgrade(url)
    token, now = new_token(), datetime.now(UTC)
    database = Database(url)
    with database.write() as session:
        add_token(session, named(session, name), name=f"made {now:%Y-%m-%d}", **kept_of(token), now=now)
    database.engine.dispose()
    typer.echo(f"A token more of {name}, in the database {shown}. It is shown only now:", err=True)
    typer.echo(token)


@users_app.command("list")
@connected
def users_list(connection: Connection) -> None:
    """Everybody who may call, or might once."""
    rows = table("number", "name", "role", "tokens", "added")
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
    """Stop all of somebody's tokens for good. What they labelled stays, with their name."""
    client = connection.client()
    annotator = found(client, who, "/annotators", "regionwise users list", "nobody")
    client.call("DELETE", f"/annotators/{annotator['id']}")
    typer.echo(f"The tokens of {annotator['name']} work no more at {client.server}.")


@users_app.command("rotate")
@connected
def users_rotate(who: Who, connection: Connection) -> None:
    """Give somebody a new token, and print it once; all old ones work no more."""
    annotator = found(connection.client(), who, "/annotators", "regionwise users list", "nobody")
    client = connection.client(
        tries=1
    )  # an answer that was lost cannot be had again: a second token would replace the first
    token = client.call("POST", f"/annotators/{annotator['id']}/token")["token"]
    typer.echo(f"A new token of {annotator['name']} at {client.server}, which is shown only now:", err=True)
    typer.echo(token)


@users_app.command("reactivate")
@connected
def users_reactivate(who: Who, connection: Connection) -> None:
    """Let somebody who was revoked call again, under their name, by a new token, which is printed once."""
    annotator = found(connection.client(), who, "/annotators", "regionwise users list", "nobody")
    client = connection.client(tries=1)
    token = client.call("POST", f"/annotators/{annotator['id']}/reactivate")["token"]
    typer.echo(f"{annotator['name']} may call again at {client.server}. The token is shown only now:", err=True)
    typer.echo(token)
