"""Commands about what annotators hold, skipped or left: release, unskip, finish-round."""

from typing import Annotated

import typer

from service.commands.connection import Connection, connected
from service.commands.finding import found

app = typer.Typer()

Region = Annotated[int, typer.Argument(help="The region's number.")]


@app.command()
@connected
def release(region: Region, connection: Connection) -> None:
    """Free a region that somebody holds, so that others may label it. For reviewers."""
    connection.client().call("POST", f"/regions/{region}/release", json={})
    typer.echo(f"Region {region} is free.")


@app.command()
@connected
def unskip(region: Region, connection: Connection) -> None:
    """Have a skipped region labelled after all. For reviewers."""
    state = connection.client().call("POST", f"/regions/{region}/unskip")["state"]
    how = "waits for its label again" if state == "open" else "is in the pool again, for its round is over"
    typer.echo(f"Region {region} {how}.")


@app.command("finish-round")
@connected
def finish_round(
    project: Annotated[str, typer.Argument(help="A project's name, or its number.")],
    number: Annotated[int, typer.Argument(help="The round's number in the project.")],
    connection: Connection,
) -> None:
    """End a round with the labels that it has; its other regions go back to the pool. For admins."""
    client = connection.client()
    meant = found(client, project, "/projects", "regionwise projects")
    rounds = client.pages(f"/projects/{meant['id']}/rounds")
    round_ = next((each for each in rounds if each["number"] == number), None)
    if round_ is None:
        raise ValueError(f"The project {meant['name']} has no round {number}.")
    finished = client.call("POST", f"/rounds/{round_['id']}/finish")
    typer.echo(f"Round {number} is {finished['state']}. {finished['note']}".rstrip())
