"""A server that speaks S3, on this machine and a free port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import fsspec
import httpx

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Runs it as a process of its own, with its log in `folder`; gives its address, which AWS_ENDPOINT_URL then names too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    os.environ |= KEYS | {"AWS_ENDPOINT_URL": address}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)
        for name in (*KEYS, "AWS_ENDPOINT_URL"):
            os.environ.pop(name, None)
        os.environ |= before
        fsspec.get_filesystem_class("s3").clear_instance_cache()


def others_client() -> Any:
    """A client of S3 that knows nothing of what others of this process have seen."""
    return boto3.client("s3")


def bucket() -> str:
    """The URL of a folder in a new bucket."""
    name = f"regionwise-{uuid4().hex}"
    others_client().create_bucket(Bucket=name)
    return f"s3://{name}/blobs"


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(address).status_code < 500:
                return
        except httpx.TransportError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not begin to listen"
            time.sleep(0.1)
