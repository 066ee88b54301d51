"""Commands that show how a server stands, and steer it: status, jobs, cancel, retry, close-round, open."""

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from service.client import ApiError, Client
from service.commands.connection import Connection, connected
from service.commands.following import Followed, Lines, job_table
from service.commands.tables import or_dash, show, table

app = typer.Typer()

# How often a server is asked for its jobs.
POLL_SECONDS = 2.0

Project = Annotated[int | None, typer.Argument(help="A project's number; all of them without one.")]


@app.command()
@connected
def status(connection: Connection) -> None:
    """The server, its release, and how far each project is: rounds, labels, what regions are asked for by."""
    client = connection.client_without_need()
    typer.echo(f"{client.server}: regionwise {_release(client)}, {_readiness(client)}")
    client = connection.client()
    rows = table("project", "name", "rounds", "labelled", "budget left", "mIoU", "asked by", "saves")
    warnings = []
    for each in client.pages("/projects"):
        project = client.call("GET", f"/projects/{each['id']}")
        rows.add_row(*_standing(project))
        if project["warning"]:
            warnings.append(f"{project['name']}: {project['warning']}")
        warnings += [
            f"{project['name']}: {_said_of(each)}" for each in project.get("stalled", [])
        ]  # not of earlier releases
    show(rows)
    for line in warnings:
        typer.echo(line)


@app.command()
@connected
def jobs(
    connection: Connection,
    project: Project = None,
    limit: Annotated[int, typer.Option(min=1, help="Show this many of each project's newest.")] = 20,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until none is under way; the status is 1 if one failed meanwhile.")
    ] = False,
) -> None:
    """Long work: training, scoring, learning; how far it is, and why it failed."""
    client = connection.client(tries=6)
    numbers = [each["id"] for each in client.pages("/projects")] if project is None else [project]
    followed = Followed(client, numbers)
    followed.look()
    if watch:
        _watch(followed, limit)
    else:
        show(job_table(followed.newest(limit)))


def _watch(followed: Followed, limit: int) -> None:
    """Show jobs until none is under way. Raises typer.Exit where one has failed meanwhile."""
    console, lines = Console(), Lines(time.monotonic)
    watched = set(followed.under_way())
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            shown = [job for job in followed.known.values() if job["id"] in watched]
            if console.is_terminal:
                live.update(job_table(followed.newest(limit)), refresh=True)
            else:
                for line in lines.due(shown):
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
            if not followed.under_way():
                break
            time.sleep(POLL_SECONDS)
            followed.look()
            watched |= followed.under_way()
    if any(followed.known[number]["state"] == "failed" for number in watched):
        raise typer.Exit(1)


@app.command()
@connected
def cancel(job: Annotated[int, typer.Argument(help="The job's number.")], connection: Connection) -> None:
    """Stop a job: at once if it is queued, at its next step if it runs."""
    stopped = connection.client().call("POST", f"/jobs/{job}/cancel")
    how = "is cancelled" if stopped["state"] == "cancelled" else "stops at its next step"
    typer.echo(f"Job {job}, {stopped['kind']}, {how}.")


@app.command()
@connected
def retry(job: Annotated[int, typer.Argument(help="The job's number.")], connection: Connection) -> None:
    """Try a failed or cancelled job again; it goes on from what it had saved."""
    tried = connection.client().call("POST", f"/jobs/{job}/retry")
    typer.echo(f"Job {job}, {tried['kind']}, is queued again.")


@app.command("close-round")
@connected
def close_round(
    round_id: Annotated[int, typer.Argument(metavar="ROUND", help="The round's number, as `status` says it.")],
    connection: Connection,
) -> None:
    """Go on without the failed job of a round: one without regions is closed empty, a labelled one is passed over."""
    closed = connection.client().call("POST", f"/rounds/{round_id}/close")
    typer.echo(f"Round {closed['number']} is closed. {closed['note']}")


@app.command("open")
@connected
def open_command(connection: Connection) -> None:
    """Print where a browser finds the server's pages."""
    client = connection.client_without_need()
    release = _release(client)
    typer.echo(f"{client.server}/            regionwise {release}")
    typer.echo(f"{client.server}/docs        the API, to read and to try; Authorize takes a token")
    typer.echo(f"{client.server}/readyz      whether it can serve, and what stands in the way")


def _said_of(stalled: dict[str, Any]) -> str:
    """Why a project stands still, and what to type."""
    number, kind, round_ = stalled["job_id"], stalled["kind"], stalled["round"]
    if not stalled["failed"]:
        return f"job {number}, {kind} of round {round_}, will be tried again: {stalled['sentence']}"
    return (
        f"stands still, job {number}, {kind} of round {round_}, has failed: {stalled['sentence']} "
        f"(regionwise retry {number}, or regionwise close-round {stalled['round_id']})"
    )


def _release(client: Client) -> str:
    alive: dict[str, Any] = client.call("GET", "/healthz")
    return str(alive.get("version", "of an earlier release"))  # which did not say


def _readiness(client: Client) -> str:
    """`ready`, or what stands in the way."""
    try:
        found = client.call("GET", "/readyz")
    except ApiError as error:  # it says what is amiss in a form of its own, or not at all
        return f"not ready: see {client.server}/readyz ({error.status})"
    checks: dict[str, str] = found["checks"]
    if found["status"] == "degraded":
        return "degraded: " + " ".join(
            f"{name}: {said}" for name, said in checks.items() if said not in ("ok", "embedded")
        )
    return "ready, with the worker inside" if checks["broker"] == "embedded" else "ready"


def _standing(project: dict[str, Any]) -> list[str]:
    """A row of `status`."""
    rounds, choice = project["rounds"], project["choice"]
    told, more = rounds.get("told", 0), sum(count for state, count in rounds.items() if state != "told")
    saved = choice["saved"]
    return [
        str(project["id"]),
        escape(project["name"]) + ("" if project["active"] else " (paused)"),
        f"{told} done" + (f", {more} going on" if more else ""),
        str(project["regions"].get("labelled", 0)),
        or_dash(project["budget_left"]),
        "-" if project["miou"] is None else f"{project['miou']:.3f}",
        choice["by"],
        "-" if saved is None or saved["share"] is None else f"{100 * saved['share']:.0f} % of random's",
    ]
