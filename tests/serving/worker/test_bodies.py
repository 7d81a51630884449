"""Nothing that a client declared as body is read as a request, whatever happens around it."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

from tests.serving.worker.conftest import connections

ROUTES = ("/predict", "/v1/models/bands:predict", "/v2/models/bands/infer")
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def post(route: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {route} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


HALVES = [*product(ROUTES, ["length", "chunks"], ["before", "after"])]


@pytest.fixture(scope="module")
def answers_to_halves(impatient) -> dict[tuple[str, ...], list[Any]]:
    """What comes back where a body stops halfway. All wait for their deadline at once."""
    with connections() as connect, ThreadPoolExecutor(len(HALVES)) as pool:
        found = pool.map(lambda half: send_half(connect, impatient, *half), HALVES)
        return dict(zip(HALVES, found, strict=True))


def send_half(connect: Any, server: Any, route: str, framing: str, when: str) -> list[Any]:
    rest = b"x" * 50 + HIDDEN + post(route, f"Content-Length: {len(HIDDEN)}") + HIDDEN
    if framing == "length":
        raw = connect(server, post(route, "Content-Length: 150") + b"x" * 50)
    else:
        raw = connect(server, post(route, "Transfer-Encoding: chunked") + b"96\r\n" + b"x" * 50)
    if when == "before":  # at the moment of the answer
        time.sleep(0.98)
        raw.send(rest)
        return list(raw.answers())
    answers = [raw.answer()]
    raw.send(rest)
    return [*answers, *raw.answers()]


@pytest.mark.parametrize(("route", "framing", "when"), HALVES)
def test_a_body_that_stops_halfway_is_answered_408_and_nothing_follows(
    answers_to_halves, route: str, framing: str, when: str
) -> None:
    answers = answers_to_halves[route, framing, when]
    if when == "before" and answers[0].status != 408:
        return  # it was whole in time; whether what follows is right, other tests ask
    assert [each.status for each in answers] == [408]
    assert answers[0].headers["connection"] == "close"
    assert "did not arrive completely in time" in answers[0].error


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_the_other_half_of_a_body_that_comes_late_is_never_a_request(
    impatient, connect, route: str, framing: str
) -> None:
    """The half arrives while the answer is being made, at many moments around it."""
    first = b"x" * 50
    second = b"x" * 16 + HIDDEN + b"x" * (100 - 16 - len(HIDDEN))
    next_one = post(route, f"Content-Length: {len(HIDDEN)}") + HIDDEN
    raws = []
    for _ in range(12):
        if framing == "length":
            raws.append(connect(impatient, post(route, "Content-Length: 150") + first))
        else:
            head = post(route, "Transfer-Encoding: chunked") + b"96\r\n"
            raws.append(connect(impatient, head + first))
            second = second if second.endswith(b"\r\n0\r\n\r\n") else second + b"\r\n0\r\n\r\n"
    time.sleep(0.9)
    for raw in raws:
        raw.send(second + next_one)
        time.sleep(0.05)
    for raw in raws:
        raw.socket.shutdown(socket.SHUT_WR)
        answers = raw.answers()
        assert 404 not in [each.status for each in answers]
        assert len(answers) == 1 or answers[0].status != 408
        assert len(answers) <= 2


@pytest.mark.parametrize("route", [*ROUTES, "/nowhere", "/health/live"])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"5\r\nhelloXX0\r\n\r\n", 400),
        (b"5\r\nhello0\r\n\r\n", 400),
        (b"zz\r\nhello\r\n0\r\n\r\n", 400),
        (b"-5\r\nhello\r\n0\r\n\r\n", 400),
        (b"5\nhello\n0\n\n", 400),
        (b" 5\r\nhello\r\n0\r\n\r\n", 400),
        (b"0x5\r\nhello\r\n0\r\n\r\n", 400),
        (b"5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
        (b"f" * 17 + b"\r\n", 400),
        (b"1" * 9000, 400),
        (b"\r\n", 400),
        (b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", 400),
        (b"5\r\nhello\r\n0\r\nHost: y\r\n\r\n", 400),
        (b"5\r\nhello\r\n0\r\nno colon\r\n\r\n", 400),
        (b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 2000 + b"\r\n", 431),
        (b"fffffff\r\n", 413),
    ],
)
def test_broken_chunks_and_trailers_are_the_clients_fault(
    impatient, connect, route: str, sent: bytes, status: int
) -> None:
    raw = connect(impatient, post(route, "Transfer-Encoding: chunked") + sent + HIDDEN)
    (answer,) = raw.answers()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert answer.error


@pytest.mark.parametrize("route", [*ROUTES, "/nowhere"])
@pytest.mark.parametrize(
    "sent",
    [
        post("%s", "Content-Length: 100") + b"x" * 50,
        post("%s", "Transfer-Encoding: chunked") + b"5\r\nhel",
        post("%s", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n",
        post("%s", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n",
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-",
    ],
)
def test_a_request_that_is_cut_short_is_reported_so(impatient, connect, route, sent) -> None:
    raw = connect(impatient, sent.replace(b"%s", route.encode()))
    raw.socket.shutdown(socket.SHUT_WR)
    (answer,) = raw.answers()
    assert answer.status == 400
    assert "cut short" in answer.error


@pytest.fixture(scope="module")
def small(start, good) -> Any:
    """A server that takes bodies of 100,000 bytes at most."""
    return start([good], 1, MAX_REQUEST_BYTES="100000")


@pytest.mark.parametrize("route", [*ROUTES, "/nowhere"])
def test_what_is_too_large_is_refused_as_it_arrives(small, connect, route: str) -> None:
    raw = connect(small, post(route, "Content-Length: 100001") + HIDDEN)
    (answer,) = raw.answers()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert "send fewer or smaller" in answer.error
    raw = connect(small, post(route, "Transfer-Encoding: chunked"))
    for _ in range(11):
        raw.send(chunk(b"x" * 10000))
    (answer,) = raw.answers()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    raw = connect(small, post(route, "Transfer-Encoding: chunked"))
    raw.send(chunk(b"x" * 10000) * 10 + b"0\r\n\r\n" + LIVE)
    assert raw.answer().status in (400, 404, 415)
    assert raw.answer().status == 200


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_picture_may_come_in_chunks_of_any_size_with_extensions_and_trailers(
    impatient, connect, encode, band, size: int
) -> None:
    picture = encode(band(4))
    pieces = [picture[start : start + size] for start in range(0, len(picture), size)]
    body = b"".join(b"%X ; a=b;c\r\n%s\r\n" % (len(each), each) for each in pieces)
    raw = connect(impatient, post("/predict", "Transfer-Encoding: chunked"))
    raw.send(body + b"0;last\r\nX-Checksum: 7\r\n\r\n" + LIVE)
    answer = raw.answer()
    assert (answer.status, b'"band 4"' in answer.body) == (200, True)
    assert raw.answer().body == b'{"live":true}'


def test_a_client_that_asks_whether_to_go_on_is_reported_to(
    impatient, connect, encode, band
) -> None:
    picture = encode(band(4))
    expect = (f"Content-Length: {len(picture)}", "Expect: 100-continue")
    raw = connect(impatient, post("/predict", *expect))
    assert raw.answer().status == 100
    raw.send(picture)
    assert raw.answer().status == 200
    raw.send(post("/predict", *expect) + picture)  # did not wait
    assert raw.answer().status == 200
    raw.send(post("/predict", "Content-Length: 1000000000", "Expect: 100-continue"))
    assert [each.status for each in raw.answers()] == [413]


def test_requests_that_follow_each_other_are_answered_in_their_order(
    impatient, connect, encode, band
) -> None:
    requests = b""
    for index in range(10):
        picture = encode(band(index))
        requests += post("/predict", f"Content-Length: {len(picture)}") + picture + LIVE
    raw = connect(impatient, requests)
    for index in range(10):
        assert b'"label":"band %d"' % index in raw.answer().body
        assert raw.answer().body == b'{"live":true}'


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"POST / HTTP/1.1\r\nExpect: 200-ok\r\n\r\n", 417),
        (b"GET /" + b"a" * 70000, 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b" * 20000, 431),
    ],
)
def test_a_head_that_is_not_one_is_refused_in_the_shape_of_all_errors(
    impatient, connect, head: bytes, status: int
) -> None:
    (answer,) = connect(impatient, head + HIDDEN).answers()
    assert answer.status == status
    assert answer.error
    assert "Traceback" not in impatient.log.read_text()


@pytest.mark.parametrize("header", [b"SCRIPT_NAME: /x", b"PATH_INFO: /x", b"X-Forwarded-Ssl: on"])
@pytest.mark.parametrize("route", [*ROUTES, "/nowhere"])
def test_no_header_changes_the_path_or_the_scheme_of_a_request(
    impatient, connect, route: str, header: bytes
) -> None:
    lines = (header.decode(), "X-Forwarded-Proto: http", "Content-Length: 2")
    assert 400 <= connect(impatient, post(route, *lines) + b"{}").answer().status < 500
