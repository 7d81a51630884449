"""Clients that are slow, that do not read, or that are too many delay nobody else."""

import os
import resource
import socket
import statistics
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux' /proc")


def post(body: bytes, path: str = "/predict", before: bytes = b"") -> bytes:
    head = b"%sPOST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    return head % (before, path.encode(), len(body)) + body


@pytest.fixture(scope="module")
def slow_picture(encode, band) -> bytes:
    """A small file that takes long to decode."""
    return bytes(encode(np.kron(band(6), np.ones((120, 120), np.uint8)), "PNG", compress_level=1))


@pytest.fixture(scope="module")
def plain(start, good: Path) -> Any:
    """A server with one worker."""
    return start([good], 1)


@pytest.fixture(scope="module")
def narrow(start, good: Path) -> Any:
    """A server that takes three requests in hand."""
    return start([good], 1, THREADS="1", QUEUE="2", DEADLINE_SECONDS="30")


def test_clients_that_do_not_read_hold_no_thread_and_are_closed(
    start, good: Path, connect, encode, band
) -> None:
    server, picture = start([good], 1, DEADLINE_SECONDS="2"), encode(band(6))
    deaf = [connect(server) for _ in range(20)]
    for index, raw in enumerate(deaf):
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.socket.settimeout(1)
        request = post(picture, "/predict?explain=1") if index % 2 else b""
        with suppress(OSError):
            raw.send((request + b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n") * 500)
    others = [connect(server, post(picture)) for _ in range(4)]
    begun = time.monotonic()
    for raw in others:
        assert raw.answer().status == 200
    assert time.monotonic() - begun < 2
    time.sleep(4)
    for raw in deaf:
        raw.socket.settimeout(5)
        with suppress(ConnectionResetError):
            while raw.socket.recv(2**20):
                pass  # TimeoutError where it was not closed


def test_other_programs_that_write_to_the_same_pipe_wait_as_before(start, good: Path) -> None:
    read, write = os.pipe()
    start([good], 1, stdout=write)
    assert os.get_blocking(write)
    os.close(read)
    os.close(write)


def test_clients_of_a_byte_at_a_time_hold_nobody_up(server, connect, encode, band) -> None:
    picture = encode(band(6))
    whole = post(picture * 100)
    slow = [connect(server, whole[: 10 if index % 2 else 150]) for index in range(60)]
    is_over = threading.Event()

    def trickle() -> None:
        while not is_over.wait(0.2):
            for raw in slow:
                with suppress(OSError):
                    raw.send(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        seconds = []
        for _ in range(20):
            begun = time.monotonic()
            assert connect(server, LIVE).answer().status == 200
            assert connect(server, post(picture)).answer().status == 200
            seconds.append(time.monotonic() - begun)
            time.sleep(0.1)
    finally:
        is_over.set()
        thread.join()
    assert statistics.median(seconds) < 0.5
    assert max(seconds) < 2


def test_a_small_file_of_many_pixels_holds_nobody_up_who_came_with_it(
    plain, connect, encode, band
) -> None:
    server, picture = plain, encode(band(6))
    bomb = encode(np.zeros((6900, 6900), np.uint8), "AVIF", speed=10, quality=1)
    assert len(bomb) < 16384
    slow = connect(server, post(bomb))  # alone
    begun = time.monotonic()
    assert slow.answer().status == 422
    alone = time.monotonic() - begun
    slow, others = connect(server), [connect(server) for _ in range(10)]
    pause = connect(server, post(bomb))  # holds the loop, so that the rest arrives together
    time.sleep(0.005)
    for raw in others[:5]:
        raw.send(post(picture))
    slow.send(post(bomb))
    for raw in others[5:]:
        raw.send(post(picture))
    begun = time.monotonic()
    for raw in others:
        assert raw.answer().status == 200
    assert time.monotonic() - begun < alone / 2
    assert slow.answer().status == pause.answer().status == 422


@pytest.mark.parametrize(("before", "cut"), [(b"", 0), (b"\r\n", 0), (b"", 2), (b"\r\n", 3)])
def test_the_bound_of_the_queue_holds_however_a_request_begins(
    narrow, connect, slow_picture: bytes, before: bytes, cut: int
) -> None:
    request = post(slow_picture, before=before)
    raws = [connect(narrow, request[:cut]) for _ in range(20)]
    time.sleep(0.05)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda raw: raw.send(request[cut:]), raws))
        statuses = Counter(answer.status for answer in pool.map(lambda raw: raw.answer(), raws))
    assert set(statuses) == {200, 503}
    assert statuses[503] >= 5


def test_two_hundred_new_connections_beside_busy_ones_are_answered_at_once(
    server, connect, encode, band
) -> None:
    picture, is_over = encode(band(6)), threading.Event()

    def stay_busy() -> None:
        raw = connect(server)
        while not is_over.is_set():
            raw.send(post(picture))
            assert raw.answer().status == 200

    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(stay_busy) for _ in range(4)]
        begun = time.monotonic()
        raws = [connect(server, LIVE) for _ in range(200)]
        assert all(raw.answer().status == 200 for raw in raws)
        seconds = time.monotonic() - begun
        is_over.set()
        for each in busy:
            each.result()
    assert seconds < 2


def test_the_probe_is_answered_at_once_when_the_server_is_full(
    narrow, connect, slow_picture: bytes
) -> None:
    is_over, statuses, seconds = threading.Event(), Counter[int](), []

    def keep_full() -> None:
        while not is_over.is_set():
            statuses[connect(narrow, post(slow_picture)).answer().status] += 1
            time.sleep(0.02)

    with ThreadPoolExecutor(8) as pool:
        busy = [pool.submit(keep_full) for _ in range(8)]
        for _ in range(20):
            begun = time.monotonic()
            assert connect(narrow, LIVE).answer().status == 200
            seconds.append(time.monotonic() - begun)
            time.sleep(0.05)
        is_over.set()
        for each in busy:
            each.result()
    assert statuses[503]
    assert statistics.median(seconds) < 0.2
    assert max(seconds) < 1


def test_a_log_that_nobody_reads_holds_nobody_up(start, good: Path, connect) -> None:
    server = start([good], 1, stdout=subprocess.PIPE)
    raw = connect(server)
    for _ in range(1000):  # lines of more than 100 bytes; a pipe holds 65,536
        raw.send(LIVE)
        assert raw.answer().status == 200
    lines = os.read(server.process.stdout.fileno(), 50000).splitlines()[:-1]
    assert len(lines) > 100
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines)


def test_an_upload_that_is_slow_but_steady_is_answered(impatient, connect, encode, band) -> None:
    request = post(encode(band(6)) + bytes(40_000))
    raw = connect(impatient, request[:200])
    for start in range(200, len(request), 6000):  # 20,000 bytes a second, for two deadlines
        time.sleep(0.3)
        raw.send(request[start : start + 6000])
    assert raw.answer().status == 200


def test_an_upload_that_is_steady_but_too_slow_is_given_up(impatient, connect) -> None:
    raw = connect(impatient, post(bytes(100_000))[:200])
    with suppress(OSError):
        for _ in range(8):
            time.sleep(0.2)
            raw.send(bytes(1000))
    assert raw.answer().status == 408


@pytest.mark.slow
def test_an_upload_is_given_up_in_the_end_however_steady_it_is(impatient, connect) -> None:
    raw, begun = connect(impatient, post(bytes(10_000_000))[:200]), time.monotonic()
    with suppress(OSError):
        while time.monotonic() < begun + 20:
            time.sleep(0.1)
            raw.send(bytes(4000))
    assert 11 < time.monotonic() - begun < 16


@needs_proc
def test_idle_connections_make_room_for_others(start, good: Path, connect, encode, band) -> None:
    server = start([good], 1)
    held = [connect(server, (b"GET / HT", b"", post(bytes(99))[:120])[i % 3]) for i in range(1500)]
    begun = time.monotonic()
    for _ in range(50):
        assert connect(server, post(encode(band(6)))).answer().status == 200
    assert time.monotonic() - begun < 2
    (worker,) = server.children()
    assert len(list(Path(f"/proc/{worker}/fd").iterdir())) < 1200
    for raw in held:
        raw.socket.close()


@needs_proc
def test_without_file_descriptors_it_stops_accepting_for_a_moment(
    start, good: Path, connect
) -> None:
    server = start([good], 1)
    (worker,) = server.children()
    descriptors = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (descriptors + 10, before[1]))
    held = [connect(server, b"GET /") for _ in range(40)]
    time.sleep(1)
    assert server.children() == [worker]
    assert "no new connections for" in server.log.read_text()
    for raw in held:
        raw.socket.close()
    assert connect(server, LIVE).answer().status == 200
    assert server.children() == [worker]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a file system")
def test_a_full_temporary_folder_costs_metrics_and_no_worker(
    start, good: Path, connect, encode, band, tmp_path: Path, monkeypatch
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        (tmp_path / "full").write_bytes(bytes(2**20 - 2**15))
        server = start([good])
        workers = server.children()
        raw = connect(server)
        for _ in range(20):
            raw.send(post(encode(band(6))))
            assert raw.answer().status == 200
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.answer().status == 200
        assert server.children() == workers
        assert "/metrics lacks this process" in server.log.read_text()
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@needs_proc
def test_large_requests_leave_no_memory_behind(plain, connect, encode) -> None:
    (worker,) = plain.children()
    pictures = [
        encode(np.zeros((6000, 6000, 3), np.uint8), kind, **options)
        for kind, options in (("PNG", {}), ("JPEG", {"progressive": True}), ("WEBP", {"method": 0}))
    ]
    numbers = b'{"instances":[' + b"1," * 3_000_000 + b"1]}"
    requests = [post(picture) for picture in pictures]
    requests += [post(numbers, "/v1/models/bands:predict")] * 2
    before = memory(worker)
    for _ in range(2):
        raws = [connect(plain, request) for request in requests]
        assert all(raw.answer().status in (400, 422, 504) for raw in raws)
    time.sleep(0.5)
    assert memory(worker) - before < 200


def memory(process: int) -> float:
    """Resident MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
