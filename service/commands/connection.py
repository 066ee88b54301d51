"""Which server a command asks, and by which token: from its options, a file, the environment, or this machine's settings."""

import inspect
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from service.client import Client
from service.settings import get_settings

SERVER, TOKEN = "REGIONWISE_SERVER", "REGIONWISE_TOKEN"
# Addresses that are listened on, and those that are then called.
_CALLED = {"0.0.0.0": "127.0.0.1", "::": "::1"}

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        help=f"Where the API is; else {SERVER}, else http://REGIONWISE_HOST:REGIONWISE_PORT, here port 8000.",
    ),
]
TokenOption = Annotated[
    str | None, typer.Option("--token", help=f"A token of the service; else --token-file, else {TOKEN}.")
]
TokenFileOption = Annotated[Path | None, typer.Option("--token-file", help="A file that holds the token, and no more.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a command was told of its server: the options, None where they were not given."""

    server_option: str | None = None
    token_option: str | None = None
    token_file: Path | None = None
    _clients: list[Client] = field(default_factory=list, repr=False)

    @property
    def server(self) -> str:
        """The server's address: what was given, else REGIONWISE_SERVER, else where `regionwise serve` would listen here."""
        named = self.server_option or os.environ.get(SERVER, "")
        if named:
            return (named if "://" in named else f"http://{named}").rstrip("/")
        settings = get_settings()
        host = _CALLED.get(settings.host, settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"

    @property
    def token(self) -> str:
        """The token: --token or what --token-file holds, else REGIONWISE_TOKEN, else an empty one.

        Raises ValueError for both options at once, and for a file that holds no token.
        """
        if self.token_file is None:
            return self.token_option or os.environ.get(TOKEN, "")
        if self.token_option:
            raise ValueError("Give --token or --token-file, not both.")
        words = self.token_file.read_text(encoding="utf-8").split()
        if len(words) != 1:
            raise ValueError(f"{self.token_file} should hold a token and no more; it holds {len(words)} words.")
        return words[0]

    def client(self, *, tries: int = 4, timeout: float = 60.0) -> Client:
        """A client of the server. Raises ValueError where there is no token."""
        if not self.token:
            raise ValueError(f"{self.server} wants a token: give --token or --token-file, or set {TOKEN}.")
        return self.client_without_need(tries=tries, timeout=timeout)

    def client_without_need(self, *, tries: int = 4, timeout: float = 60.0) -> Client:
        """A client for what the server tells everybody; with the token, if there is one."""
        self._clients.append(Client(self.server, self.token, tries=tries, timeout=timeout))
        return self._clients[-1]

    def close(self) -> None:
        """Close the clients that were given."""
        for each in self._clients:
            each.close()


def connected_as(server: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options --server (as annotated), --token and --token-file, as its one argument `connection`."""
    options = {"server": server, "token": TokenOption, "token_file": TokenFileOption}
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(name, kind, default=None, annotation=each) for name, each in options.items()]

    def connect(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [each.replace(kind=kind) for each in signature.parameters.values() if each.name != "connection"]

        @wraps(command)
        def run(*, server: str | None, token: str | None, token_file: Path | None, **given: Any) -> None:
            connection = Connection(server_option=server, token_option=token, token_file=token_file)
            with closing(connection):
                command(connection=connection, **given)

        # What typer reads of a command.
        run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        return run

    return connect


connected = connected_as(ServerOption)
