"""Bodies, heads, connections and tokens that are meant to stall a server: a real one answers /healthz, and does not grow."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from service.blobs import Blobs
from service.db import Database
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.siege import MIB, Besieged, Watch, answer, closed, head

FORM = "multipart/form-data; boundary=x"
MOST_SECONDS = 8.0  # a fraction of one, where nobody else needs the cores; a stalled server took half a minute
MOST_GROWTH = 100 * MIB


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Besieged]:
    server = Besieged(tmp_path, database_url, header_seconds=2, body_seconds=2)
    yield server
    server.close()


@pytest.fixture
def token(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Tokens by role."""
    database = Database(database_url)
    make = Maker(database, Blobs((tmp_path / "blobs").as_uri()), FakeClock())
    yield {role: make.annotator(role) for role in ("admin", "annotator")}
    database.engine.dispose()


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open more files than the server may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def assert_unmoved(watch: Watch) -> None:
    assert watch.failed == []
    assert watch.slowest < MOST_SECONDS
    assert watch.grown < MOST_GROWTH


def counts(size: int) -> bytes:
    """A label of whose RLE every count is wrong."""
    before, after = (
        b'{"labels": [{"region_id": 1, "lease_token": "1-a", "rle": {"3": {"size": [90, 80], "counts": [',
        b"-1]}}}]}",
    )
    return before + b"-1, " * (size // 4) + after


def test_no_body_stalls_the_server_or_fills_its_memory(server: Besieged, token: dict[str, str]) -> None:
    stranger, annotator, admin = "", token["annotator"], token["admin"]
    with server.watched() as watch:
        assert server.post("/labels", counts(4 * MIB), token=annotator).status == 422
        assert server.post("/labels", counts(MIB), token=annotator).status == 422
        assert server.post("/labels", b'{"labels": ' + b"[" * 4 * MIB, token=annotator).status == 422
        assert server.post("/projects", b"[" * 250_000, token=admin).status == 422
        assert server.post("/projects", b'{"name": ' + b"9" * 250_000 + b"}", token=admin).status == 422
        assert server.post("/projects", 31, token=stranger).status == 401
        assert server.post("/projects", 31, token=annotator).status == 403
        assert server.post("/projects", 31, token=admin).status == 413
        assert server.post("/labels", 31, token=annotator).status == 413
        assert server.post("/labels", 15, token=annotator).status == 422
        assert server.post("/projects/1/images", 100, token=stranger, kind=FORM).status == 401
        assert server.post("/projects/1/images", 100, token=annotator, kind=FORM).status == 404  # no member
        assert server.post("/healthz", 31).status == 413
    assert_unmoved(watch)
    assert watch.written < MIB
    assert server.get("/projects", annotator).status_code == 200


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("path", ["/labels", "/projects/1/images"])
def test_bodies_of_which_half_is_sent_keep_nobody_out(path: str, server: Besieged, token: dict[str, str]) -> None:
    begun = head(path, 1000, token=token["admin"], kind=FORM) + b"--x\r\n"
    with server.watched() as watch:
        connections = [server.connect() for _ in range(1100)]
        try:
            for each in connections:
                with suppress(OSError):
                    each.sendall(begun)
            assert server.get("/projects", token["annotator"]).status_code == 200
            assert closed(connections[0], 1)  # the oldest had to go
            last = answer(connections[-1])
            assert (last.status, "too_slow" in last.said or "connection: close" in last.said) == (408, True)
        finally:
            for each in connections:
                each.close()
    assert_unmoved(watch)


def test_heads_that_do_not_come_or_never_end_are_given_up(server: Besieged) -> None:
    with server.watched() as watch, closing(server.connect()) as silent, closing(server.connect()) as endless:
        slow = [server.connect() for _ in range(200)]
        for each in slow:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        endless.sendall(b"GET /healthz HTTP/1.1\r\n")
        with suppress(OSError):
            for number in range(1000):
                endless.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        assert closed(endless, 5)
        assert closed(silent, 10)
        assert all(closed(each, 10) for each in slow)
        for each in slow:
            each.close()
    assert_unmoved(watch)


def test_wrong_tokens_are_throttled_and_the_right_ones_of_the_same_address_are_not(
    server: Besieged, token: dict[str, str]
) -> None:
    with server.watched() as watch:
        # Who is no trusted proxy is believed no other address.
        answers = [
            server.post("/labels", b"{}", token=f"rw_{number}", forwarded=f"192.0.2.{number}") for number in range(100)
        ]
        assert [each.status for each in answers] == [401] * 20 + [429] * 80
        assert "retry-after: " in answers[-1].said
        assert server.get("/projects", token["annotator"]).status_code == 200
        assert server.get("/projects", token["admin"]).status_code == 200
    assert_unmoved(watch)


def test_a_connection_goes_on_after_a_refusal_where_the_body_was_small(server: Besieged) -> None:
    with closing(server.connect()) as connection:
        for _ in range(3):
            connection.sendall(head("/labels", 100_000) + b" " * 100_000)
            found = answer(connection)
            assert (found.status, "connection: close" in found.said) == (401, False)


def test_behind_a_trusted_proxy_wrong_tokens_count_for_the_address_that_it_forwards(
    tmp_path: Path, sqlite_template: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'test.db')}"
    server = Besieged(tmp_path, url, trusted_proxies='["127.0.0.1"]', wrong_tokens_per_minute=3)
    try:

        def tried(*forwarded: str) -> list[int]:
            return [server.post("/labels", b"{}", token="rw_0", forwarded=each).status for each in forwarded]

        assert tried(*["192.0.2.1"] * 4, "192.0.2.2") == [401, 401, 401, 429, 401]
        # What a client says itself stands before what the proxy adds.
        assert tried("192.0.2.9, 192.0.2.1") == [429]
    finally:
        server.close()
