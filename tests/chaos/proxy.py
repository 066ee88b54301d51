"""A proxy between annotators and an API that drops connections: those there are, or those whose answer is on its way."""

import asyncio
import random
import threading

from tests.chaos.processes import free_port


class Proxy:
    """Passes bytes on, in a thread of its own, until it is told not to."""

    def __init__(self, target: int, chance: random.Random) -> None:
        """`target` is the port of the API, on this machine."""
        self.port = free_port()
        self._target, self._chance, self._torn = target, chance, 0.0
        self._open: set[asyncio.BaseTransport] = set()
        self._loop = asyncio.new_event_loop()
        begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), name=f"proxy-{target}", daemon=True)
        self._thread.start()
        assert begun.wait(30), "The proxy did not start."

    def cut(self) -> None:
        """Drop every connection there is."""
        self._loop.call_soon_threadsafe(lambda: [each.abort() for each in self._open])  # type: ignore[attr-defined]

    def tear(self, share: float) -> None:
        """From now on drop this share of the connections at the moment when the API answers: it has done what was asked."""
        self._torn = share

    def close(self) -> None:
        """Listen no longer, and drop what is open."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def _run(self, begun: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass_on, "127.0.0.1", self.port))
        begun.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(server))
        self._loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        for transport in self._open:
            transport.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = writer.transport
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            near.abort()
            return
        far = far_writer.transport
        self._open |= {near, far}
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._pump(reader, far_writer, answers=False)),
                    asyncio.create_task(self._pump(far_reader, writer, answers=True)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._open -= {near, far}
            near.abort() if near.is_closing() else near.close()
            far.abort() if far.is_closing() else far.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while data := await reader.read(1 << 16):
                if answers and self._torn and self._chance.random() < self._torn:
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            return
