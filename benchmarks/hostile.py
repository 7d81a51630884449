"""Clients that no service should have, one function a kind: `benchmarks.soak` lets them in.

Each opens connections of its own and goes on until it is closed or has done its worst. It raises
`MisledError` if the service did what it never may; that a connection breaks is expected.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
from PIL import Image

Address = tuple[str, int]
Kind = Callable[[Address, random.Random], Awaitable[None]]

HIDDEN = "/hidden-in-a-body"
"""The path of requests that are written into bodies; nobody may ever answer one."""
ROUTES = ("/predict", "/v1/models/any:predict", "/v2/models/any/infer")
PATIENCE = 25
"""Seconds after which even a hostile client goes."""
MANY = 1200
"""Connections at a time, more than the service has descriptors for."""
BOMBS = (b"[],", b"0,", b'"",', b"\0", b"[")
"""What is repeated to 60 MB and compressed."""
HUGE = [
    (mode, kind, side)
    for mode, kind in (("L", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP"), ("RGB", "PNG"))
    for side in (3000, 6900, 7100)
]
"""Mode, format and pixels of a side: with the longest, more pixels than the service takes."""


class MisledError(Exception):
    """The service did what it must not."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Client:
    """A connection on which anything can be sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Raises `OSError`."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer. Raises `OSError` or `EOFError`."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(status.split()[1]), headers, body)

    async def until_closed(self) -> list[Answer]:
        """All answers until the service closes the connection, or for as long as one stays."""
        answers: list[Answer] = []
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    answers.append(await self.answer())
        return answers


@asynccontextmanager
async def connection(address: Address, room: int | None = None) -> AsyncIterator[Client]:
    """A new connection; `room` is the size of its receive buffer in bytes. Raises `OSError`."""
    sock = socket.socket()
    sock.setblocking(False)
    if room:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
        reader, writer = await asyncio.open_connection(sock=sock, limit=room or 2**16)
    except BaseException:
        sock.close()
        raise
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def head(path: str, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: soak\r\n{lines}\r\n".encode()


def post(path: str, body: bytes, headers: Mapping[str, str] = {}) -> bytes:
    return head(path, {**headers, "Content-Length": str(len(body))}) + body


def form(pictures: Sequence[bytes]) -> bytes:
    """Pictures as a browser sends them."""
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="%d.png"\r\n'
        b"Content-Type: image/png\r\n\r\n%s\r\n" % part
        for part in enumerate(pictures)
    )
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    return post("/predict", parts + b"--x--\r\n", kind)


async def pipelines_and_does_not_read(address: Address, chance: random.Random) -> None:
    """Many requests in one go, and nobody takes the answers."""
    async with connection(address, room=4096) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await client.send(b"GET /openapi.json HTTP/1.1\r\nHost: soak\r\n\r\n" * 2000)
                await asyncio.sleep(PATIENCE)


async def sends_half_a_head(address: Address, chance: random.Random) -> None:
    whole = head(chance.choice(ROUTES), {"Content-Length": "5"})
    async with connection(address) as client:
        await client.send(whole[: chance.randrange(1, len(whole) - 1)])
        await client.until_closed()


async def sends_a_byte_a_second(address: Address, chance: random.Random) -> None:
    whole = post(chance.choice(ROUTES), bytes(1000))
    start = chance.choice((1, whole.index(b"\r\n\r\n") + 4))
    async with connection(address) as client:
        await client.send(whole[:start])
        for position in range(start, start + PATIENCE):
            await client.send(whole[position : position + 1])
            await asyncio.sleep(1)


async def cuts_its_body(address: Address, chance: random.Random) -> None:
    """A body shorter than declared must not be answered 200."""
    whole = post(chance.choice(ROUTES), b'{"instances": []}' * 10)
    async with connection(address) as client:
        await client.send(whole[:-50])
        if chance.random() < 0.5:
            client.writer.write_eof()
            _refused(await client.until_closed())


async def hides_a_request_in_a_body(address: Address, chance: random.Random) -> None:
    """Half a body; when it is given up, the rest, and a further request with one in its body."""
    hidden = f"GET {HIDDEN} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()
    first = post(chance.choice(ROUTES), hidden * 4)
    start = len(first) - len(hidden) * chance.randint(1, 3)
    further = post(chance.choice(ROUTES), hidden * 4)
    async with connection(address) as client:
        await client.send(first[:start])
        async with asyncio.timeout(PATIENCE):
            await client.answer()
        with suppress(OSError):
            await client.send(first[start:] + further)
        if await client.until_closed():
            raise MisledError("a request was answered behind a body that was given up")


async def disagrees_about_the_length(address: Address, chance: random.Random) -> None:
    """What two servers would understand differently is refused."""
    hidden = f"GET {HIDDEN} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()
    framing = chance.choice(
        [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Content-Length: 4\r\nContent-Length: 90",
            "Content-Length: +4",
            "Content-Length: 4, 4",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: \x0bchunked",
        ]
    )
    async with connection(address) as client:
        sent = f"POST {chance.choice(ROUTES)} HTTP/1.1\r\nHost: soak\r\n{framing}\r\n\r\n"
        await client.send(sent.encode() + b"0\r\n\r\n" + hidden)
        _refused(await client.until_closed())


async def breaks_its_chunks(address: Address, chance: random.Random) -> None:
    body = chance.choice(
        [
            b"zz\r\n",
            b"-1\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"5\nhello\n0\n\n",
            b"1\r\n{\r\n0\r\nContent-Length: 5\r\n\r\n",
            b"1;" + b"x" * 20000,
        ]
    )
    async with connection(address) as client:
        await client.send(head(chance.choice(ROUTES), {"Transfer-Encoding": "chunked"}) + body)
        _refused(await client.until_closed())


async def compresses_a_lot(address: Address, chance: random.Random) -> None:
    """Little on the way, much in memory."""
    body = _bomb(chance.choice(BOMBS))
    async with connection(address) as client:
        await client.send(post(chance.choice(ROUTES), body, {"Content-Encoding": "gzip"}))
        async with asyncio.timeout(PATIENCE):
            _refused([await client.answer()])


async def sends_huge_pictures(address: Address, chance: random.Random) -> None:
    """Small files of many pixels, alone or many at a time."""
    picture = _huge(*chance.choice(HUGE))
    async with connection(address) as client:
        await client.send(form([picture] * chance.choice((1, 16))))
        async with asyncio.timeout(PATIENCE):
            await client.answer()


async def sends_rubbish(address: Address, chance: random.Random) -> None:
    """Bytes that are no request, or one for nothing that there is."""
    rubbish = chance.choice(
        [
            chance.randbytes(2000),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),  # TLS
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: soak\r\n\r\n",
            b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n"
            + b"".join(b"A%d: b\r\n" % each for each in range(5000))
            + b"\r\n",
            b"\r\n" * 5000,
            post(chance.choice(ROUTES), b"[" * 100_000),
            post(chance.choice(ROUTES), b'{"instances": "\\ud800", "inputs": 1e999}'),
            post(f"/v1/models/{'x' * 5000}:predict", b"{}"),
            form([chance.randbytes(3000)] * 70),
        ]
    )
    async with connection(address) as client:
        await client.send(rubbish)
        client.writer.write_eof()
        _refused(await client.until_closed())


async def leaves_at_once(address: Address, chance: random.Random) -> None:
    """A request, and a reset before the answer."""
    reset = struct.pack("ii", 1, 0)
    for _ in range(20):
        async with connection(address) as client:
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            await client.send(b"GET /openapi.json HTTP/1.1\r\nHost: soak\r\n\r\n")
            await asyncio.sleep(chance.random() / 100)


async def uses_up_the_descriptors(address: Address, chance: random.Random) -> None:
    """More connections than the service may have, each with the beginning of a head or nothing."""
    opened: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    try:
        for index in count():
            opened.append(sock := socket.socket())
            sock.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(sock, address), 5)
            if index % 2:
                await loop.sock_sendall(sock, b"GET / HT")
            if index == MANY:
                break
        await asyncio.sleep(PATIENCE / 2)
    finally:
        for sock in opened:
            sock.close()


KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (
        pipelines_and_does_not_read,
        sends_half_a_head,
        sends_a_byte_a_second,
        cuts_its_body,
        hides_a_request_in_a_body,
        disagrees_about_the_length,
        breaks_its_chunks,
        compresses_a_lot,
        sends_huge_pictures,
        sends_rubbish,
        leaves_at_once,
        uses_up_the_descriptors,
    )
}


def _refused(answers: Sequence[Answer]) -> None:
    """At most one answer, and that a 4xx or one of the promised 503 and 504."""
    statuses = [answer.status for answer in answers]
    if len(statuses) > 1 or any(status < 400 or status in (500, 502) for status in statuses):
        raise MisledError(f"answered {statuses}")


def prepare() -> None:
    """Makes what is large, which takes a few seconds, before anything is measured."""
    for unit in BOMBS:
        _bomb(unit)
    for picture in HUGE:
        _huge(*picture)


@cache
def _bomb(unit: bytes) -> bytes:
    return gzip.compress(b'{"instances": [' + unit * (60_000_000 // len(unit)) + b"0]}")


@cache
def _huge(mode: str, kind: str, side: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.zeros((side, side), np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(pixels)
    (image if mode == "I;16" else image.convert(mode)).save(buffer, kind)
    return buffer.getvalue()
