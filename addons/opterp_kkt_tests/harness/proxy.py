# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The network between the deliverers and the OFD, to be broken."""

import asyncio
import socket
import struct
import threading
from contextlib import contextmanager

from harness.processes import free_port

RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for 0 s
LATENCY = 0.03  # s that the network takes, each way
PAUSE = 0.8  # s that a slow one takes
DRIP = 0.05  # s between two bytes: an answer of 300 bytes takes 15 s
MODES = ("ok", "cut", "slow", "half_open", "drip", "reset", "drop_answers")


class Proxy:
    """Forwards TCP connections to a port of 127.0.0.1, in a thread of its own, as well as its mode allows:

        ok             LATENCY later, both ways
        cut            connections are reset, new ones refused
        slow           PAUSE later
        half_open      connections stay or are made, and what is sent vanishes
        drip           answers come byte by byte
        reset          the request goes out, then both ends are reset
        drop_answers   the connection closes where the answer should come

    Whatever the mode, a client that closes closes its server's side at once: what was still on the way is lost, so that a
    request can't arrive after its sender is known to have left. A server's last answer arrives before its client's side closes.
    """

    def __init__(self, target: int):
        self.target = target
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mode = "ok"
        self.sides: set[_Side] = set()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)

    def __enter__(self):
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *exc):
        self._do(self._cut())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    @contextmanager
    def broken(self, mode: str):
        """Be in that mode for the time of the block."""
        self._do(self._set(mode))
        try:
            yield
        finally:
            self._do(self._set("ok"))

    async def _set(self, mode: str):
        was, self.mode = self.mode, mode
        if mode == "cut":
            await self._cut()
        elif was == "cut":
            await self._listen()

    async def _listen(self):
        self.server = await self.loop.create_server(lambda: _Client(self), "127.0.0.1", self.port)

    async def _cut(self):
        self.server.close()
        for side in list(self.sides):
            side.reset()


class _Side(asyncio.Protocol):
    """One end of a forwarded connection. What it reads leaves at `other`, when it is time."""

    def __init__(self, proxy: Proxy, other: "_Side | None" = None):
        self.proxy = proxy
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._free_at = 0.0  # when what was read before will have left

    def connection_made(self, transport):
        self.transport = transport
        self.proxy.sides.add(self)

    def connection_lost(self, error):
        self.proxy.sides.discard(self)
        if self.other and self.other.transport:
            self.other.transport.abort()

    def data_received(self, data: bytes):
        getattr(self, f"_{self.proxy.mode}", self._ok)(data)

    def _ok(self, data: bytes):
        self._later(LATENCY, data)

    def _slow(self, data: bytes):
        self._later(PAUSE, data)

    def _half_open(self, data: bytes):
        pass

    def _later(self, seconds: float, data: bytes):
        loop = self.proxy.loop
        self._free_at = max(self._free_at + 1e-6, loop.time() + seconds)  # timers of one moment fire in any order
        loop.call_at(self._free_at, self._pass_on, data)

    def _pass_on(self, data: bytes):
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def reset(self):
        """Close without a farewell; the other side follows."""
        if self.transport and not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            self.transport.abort()


class _Client(_Side):
    """The deliverer's side."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self._early = b""  # what came before the other side was there
        self._connecting = self.proxy.loop.create_task(self._connect())

    async def _connect(self):
        try:
            await self.proxy.loop.create_connection(self._meet_server, "127.0.0.1", self.proxy.target)
        except OSError:
            return self.reset()
        if self.transport.is_closing():
            self.other.transport.abort()
        else:
            self.data_received(self._early)

    def data_received(self, data: bytes):
        if not self.other:
            self._early += data
        elif data:
            super().data_received(data)

    def _meet_server(self):
        self.other = _Server(self.proxy, self)
        return self.other

    def _reset(self, data: bytes):
        self._ok(data)
        self.proxy.loop.call_at(self._free_at + LATENCY / 2, self.reset)  # before the answer can be back


class _Server(_Side):
    """The OFD's side: what it reads are answers."""

    def connection_lost(self, error):
        """A server that ends its connection has answered: what it sent still arrives, as a web server closes after an answer."""
        self.proxy.sides.discard(self)
        self.proxy.loop.call_at(self._free_at + LATENCY / 2, self.other.transport.close)

    def _drip(self, data: bytes):
        for at in range(len(data)):
            self._later(LATENCY, data[at : at + 1])
            self._free_at += DRIP

    def _drop_answers(self, data: bytes):
        self.other.transport.abort()
