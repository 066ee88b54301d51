"""Which server a command asks, and by which token: from its options, a file, the environment, or this machine's settings."""

import inspect
import os
import tomllib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from service.client import Client
from service.settings import get_settings

SERVER, TOKEN, TOKEN_FILE = "REGIONWISE_SERVER", "REGIONWISE_TOKEN", "REGIONWISE_TOKEN_FILE"
# Addresses that are listened on, and those that are then called.
_CALLED = {"0.0.0.0": "127.0.0.1", "::": "::1"}

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        help=f"Where the API is; else {SERVER}, else http://REGIONWISE_HOST:REGIONWISE_PORT, port 8000 by default.",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", help=f"A token of the service, which other users of this machine can see: set {TOKEN} instead."
    ),
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
        """The server's address: given, else REGIONWISE_SERVER, else the file's, else where `serve` would listen here."""
        named = self.server_option or os.environ.get(SERVER, "") or kept().get("server", "")
        if named:
            return _address(named)
        settings = get_settings()
        host = _CALLED.get(settings.host, settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"

    @property
    def token(self) -> str:
        """The token: --token or --token-file, else REGIONWISE_TOKEN or REGIONWISE_TOKEN_FILE, else the file's, else an empty one.

        Raises ValueError for both options at once, and for a file that holds no token.
        """
        if self.token_option and self.token_file is not None:
            raise ValueError("Give --token or --token-file, not both.")
        if self.token_file is not None:
            return _token_in(self.token_file)
        if given := self.token_option or os.environ.get(TOKEN, ""):
            return given
        if named := os.environ.get(TOKEN_FILE, ""):
            return _token_in(Path(named))
        own = kept()
        # A token goes to the server that it was kept for, and to no other.
        return own["token"] if "token" in own and self.server == _address(own["server"]) else ""

    def client(self, *, tries: int = 4, timeout: float = 60.0) -> Client:
        """A client of the server. Raises ValueError where there is no token."""
        if not self.token:
            raise ValueError(f"{self.server} wants a token: set {TOKEN} or {TOKEN_FILE}, or give --token-file.")
        if self.token_option and not self._clients:
            typer.echo(
                f"--token shows the token to other users of this machine; set {TOKEN} or {TOKEN_FILE} instead.",
                err=True,
            )
        return self.client_without_need(tries=tries, timeout=timeout)

    def client_without_need(self, *, tries: int = 4, timeout: float = 60.0) -> Client:
        """A client for what the server tells everybody; with the token, if there is one."""
        self._clients.append(Client(self.server, self.token, tries=tries, timeout=timeout))
        return self._clients[-1]

    def close(self) -> None:
        """Close the clients that were given."""
        for each in self._clients:
            each.close()


def kept() -> dict[str, str]:
    """`server` and `token` of the user's own file, which none but they may read; nothing where it is not there.

    Raises ValueError for a file that others may read, or that holds something else.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "") or "~/.config"
    path = Path(base).expanduser() / "regionwise" / "config.toml"
    if not path.is_file():
        return {}
    _require_private(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}.") from error
    if any(name not in ("server", "token") or not isinstance(value, str) for name, value in found.items()):
        raise ValueError(f'{path} may hold server = "..." and token = "...", and nothing else.')
    if "token" in found and "server" not in found:
        raise ValueError(f"{path} has to say which server the token is for.")
    return found


def _address(named: str) -> str:
    return (named if "://" in named else f"http://{named}").rstrip("/")


def _token_in(path: Path) -> str:
    words = path.read_text(encoding="utf-8").split()
    if len(words) != 1:
        raise ValueError(f"{path} should hold a token and no more; it holds {len(words)} words.")
    return words[0]


def _require_private(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ValueError(f"{path} is open to other users of this machine: chmod 600 {path}.")


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
