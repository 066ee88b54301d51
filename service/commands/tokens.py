"""Commands about tokens: one's own, and for admins those of others."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from service.client import Client
from service.commands.connection import Connection, connected
from service.commands.finding import found
from service.commands.tables import or_dash, show, table

app = typer.Typer(no_args_is_help=True, help="What people call with: one's own, for admins those of others.")

Who = Annotated[str, typer.Argument(help="A name, or a number of `regionwise users list`.")]
Number = Annotated[int, typer.Argument(help="A number of `regionwise tokens list`.")]


@app.command("list")
@connected
def tokens_list(who: Who, connection: Connection) -> None:
    """Somebody's tokens: how each begins, when it was made, used last and runs out."""
    client = connection.client()
    rows = table("number", "name", "begins", "works", "made", "last used", "runs out")
    for each in client.pages(_path(client, who)):
        works = "yes" if each["works"] else ("revoked" if each["revoked_at"] else "ran out")
        ends = or_dash(each["expires_at"] and each["expires_at"][:10])
        shown = str(each["id"]), escape(each["name"]), each["prefix"] or "-", works
        rows.add_row(*shown, each["created_at"][:10], or_dash(each["last_used_on"]), ends)
    show(rows)


@app.command("add")
@connected
def tokens_add(
    who: Who,
    connection: Connection,
    name: Annotated[str, typer.Option(help="What it is for.")] = "more",
    days: Annotated[int | None, typer.Option(help="How long it works; none: until it is revoked.")] = None,
) -> None:
    """Make one more token for somebody, and print it once."""
    path = _path(connection.client(), who)
    client = connection.client(tries=1)  # a second try would make a second token
    _tell(client, client.call("POST", path, json={"name": name, "expires_in_days": days}))


@app.command("rotate")
@connected
def tokens_rotate(number: Number, connection: Connection) -> None:
    """Make another token in place of one, and print it once; the old one works no more."""
    client = connection.client(tries=1)
    _tell(client, client.call("POST", f"/tokens/{number}/rotate"))


@app.command("revoke")
@connected
def tokens_revoke(number: Number, connection: Connection) -> None:
    """Stop one token for good."""
    client = connection.client()
    revoked = client.call("DELETE", f"/tokens/{number}")
    typer.echo(f"Token {number}, {revoked['name']}, works no more at {client.server}.")


def _path(client: Client, who: str) -> str:
    """Of somebody's tokens; by their number also for who may not list people."""
    number = who if who.isdigit() else found(client, who, "/annotators", "regionwise users list", "nobody")["id"]
    return f"/annotators/{number}/tokens"


def _tell(client: Client, made: dict[str, Any]) -> None:
    typer.echo(f"Token {made['id']}, {made['name']}, at {client.server}, which is shown only now:", err=True)
    typer.echo(made["token"])
