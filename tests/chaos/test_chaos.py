"""Short runs of chaos: whatever is killed, cut, filled or moved, what was accepted is there once, and the campaign ends."""

import os
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.chaos.options import Options, plan
from tests.chaos.play import played
from tests.chaos.proxy import Proxy
from tests.chaos.servers import missing_servers

SEED = int(os.environ.get("REGIONWISE_CHAOS_SEED", "1"))


@pytest.mark.skipif(bool(missing_servers()), reason=missing_servers() or "all is here")
def test_two_apis_and_two_workers_lose_no_accepted_label_and_end_the_campaign() -> None:
    played(Options(seed=SEED, labels=150, strikes=21))


def test_one_server_with_sqlite_and_the_worker_inside_loses_none_either() -> None:
    played(Options(seed=SEED, labels=60, strikes=8, annotators=8, embedded=True))


def test_a_seed_has_one_plan_in_which_everything_comes_before_anything_comes_again() -> None:
    options, kinds = Options(seed=7, labels=100, strikes=9), ["a", "b", "c", "d"]
    planned = plan(options, kinds)
    assert planned == plan(options, kinds)
    assert planned != plan(Options(seed=8, labels=100, strikes=9), kinds)
    names = [each.what for each in planned]
    assert [sorted(names[:4]), sorted(names[4:8]), len(names)] == [kinds, kinds, 9]
    assert [each.after for each in planned] == [10, 20, 30, 40, 50, 60, 70, 80, 90]


def test_a_proxy_drops_what_is_open_and_answers_on_their_way() -> None:
    asked: list[str] = []

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    proxy = Proxy(server.server_port, random.Random(1))
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}") as client:
        assert client.get("/before").status_code == 204
        proxy.cut()
        proxy.tear(1.0)
        with pytest.raises(httpx.TransportError):
            client.get("/torn")
        proxy.tear(0.0)
        assert client.get("/after").status_code == 204
    proxy.close()
    server.shutdown()
    server.server_close()
    thread.join()
    assert asked[-1] == "/after"
