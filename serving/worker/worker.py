"""gunicorn's worker for this service: one loop that reads and writes, and threads that answer.

The loop, in the main thread, never waits for one client. It reads requests until they are complete,
gives them to threads, sends the rest of answers that could not be sent at once, and closes
connections that take too long. A slow client thus takes up memory, but no thread; if connections
run out, those that have been idle for longest are closed.

Small requests that have arrived together go to one thread together, which starts each on a stack of
its own (a greenlet), so that they share a call of the network. They take only milliseconds, for
which the loop pauses; requests that arrive in the meantime form the next group. If it takes longer,
the loop continues and gives further requests to other threads.
"""

import os
import resource
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from heapq import nsmallest
from http import HTTPStatus
from queue import SimpleQueue
from selectors import EVENT_READ, DefaultSelector
from typing import Any
from urllib.parse import unquote

from greenlet import greenlet
from gunicorn.workers.base import Worker as GunicornWorker
from werkzeug.datastructures import Headers

from wardrobe.serving import deadline
from wardrobe.serving.http import security, telemetry
from wardrobe.serving.metrics import IN_HAND, REFUSED, REQUESTS
from wardrobe.serving.settings import Settings
from wardrobe.serving.worker import answer
from wardrobe.serving.worker.connection import EVENTS, Connection, Phase
from wardrobe.serving.worker.request import Incoming, RefusedError

PATIENCE = 0.01
"""Seconds in which a group of small requests is expected to be answered."""
HANDFUL = 16
"""Requests that a thread starts before it finishes the first."""
SMALL = 16384
"""Bytes of a body that is expected to be answered in milliseconds."""
LINGER = 2.0
"""Seconds in which a client may read its last answer, and send a last request when we stop."""
SLOWEST = 8192
"""Bytes a second, 64 kbit/s: a body or an answer that is transferred at least as fast may take
longer than the deadline."""
LONGEST = 12
"""How many times as long."""
LOOK = 0.25
"""Seconds between two checks for late connections."""
ACCEPTED = 16
"""New connections to accept at a time, so that other workers get their share."""
PAUSE = 0.5
"""Seconds without accepting connections after the system could not accept one."""
SPARE = 128
"""File descriptors reserved for anything but connections."""

PROBES = ("/health/live", "/v2/health/live")
"""Answered by the loop itself, however busy the threads are."""
UNBOUNDED = ("GET", "HEAD", "OPTIONS")
"""Cheap methods: not refused when the queue is full."""
FULL = "the server is full; try again in a second"


def _most_connections(allowed: int) -> int:
    """`allowed`, or as many as there are file descriptors for."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return allowed
    return max(2 * ACCEPTED, min(allowed, descriptors - SPARE))


@dataclass(eq=False)
class _Handful:
    """Requests that a thread answers together."""

    connections: list[Connection]
    is_small: bool
    is_done: threading.Event = field(default_factory=threading.Event)


class Worker(GunicornWorker):  # type: ignore[misc]
    """See above. `settings` is set by the server before the workers start."""

    settings: Settings
    alive: bool

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.wsgi: Any = None  # until the models are loaded
        self._is_draining = False
        self._connections: set[Connection] = set()
        self._large: set[Connection] = set()  # those whose request is more than SMALL
        self._ready: deque[Connection] = deque()  # with a whole request that waits for a thread
        self._at_work = 0  # requests that have a thread
        self._handfuls: list[_Handful] = []  # at work
        self._looked = 0.0
        self._most = _most_connections(self.cfg.worker_connections)
        self._is_accepting = False
        self._accept_from = 0.0
        self._is_asleep = False
        self._given: SimpleQueue[_Handful] = SimpleQueue()  # to the threads
        self._answered: deque[Connection] = deque()  # by the threads
        self._seconds = dict.fromkeys(Phase, float(self.settings.deadline_seconds)) | {
            Phase.WAITING: float(self.cfg.keepalive),
            Phase.ANSWERING: float("inf"),  # the application looks at its deadline itself
            Phase.LEAVING: LINGER,
        }

    # In the main thread: the loop.

    def run(self) -> None:
        self._selector = DefaultSelector()
        self._selector.register(self.PIPE[0], EVENT_READ, self._empty_pipe)
        for _ in range(self.cfg.threads):
            threading.Thread(target=self._work, daemon=True).start()
        while self.alive and self.ppid == os.getppid():
            self._turn()
        self.alive = False
        until = time.monotonic() + LINGER
        for connection in self._connections:
            if connection.phase in (Phase.WAITING, Phase.LEAVING):
                connection.until = min(connection.until, until)
        until = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < until:
            self._turn()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: readiness first becomes false, so that a load balancer stops sending; then
        requests in flight are finished. While the models are loading, there are none."""
        if self.wsgi is None:
            raise SystemExit(0)
        if self._is_draining:
            super().handle_exit(sig, frame)
            return
        self._is_draining = True
        self.wsgi.extensions["repository"].retire()
        leave = threading.Timer(self.settings.drain_seconds, super().handle_exit, (sig, frame))
        leave.daemon = True
        leave.start()

    def _turn(self) -> None:
        """One iteration of the loop."""
        self._listen()
        self._look()
        self._take_back()
        self._give_out()
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            self.notify()
            IN_HAND.set(self._in_hand)
            for connection in [each for each in self._connections if each.until < now]:
                self._end(connection)

    @property
    def _in_hand(self) -> int:
        return self._at_work + len(self._ready)

    def _look(self) -> None:
        """Waits until something can be read, written or accepted, and does it."""
        self._is_asleep = True  # from here on a thread that is done wakes us
        can_go_on = self._answered or (self._ready and len(self._handfuls) < self.cfg.threads)
        events = self._selector.select(0 if can_go_on else LOOK)
        self._is_asleep = False
        for key, _ in events:
            if isinstance(key.data, Connection):
                self._attend(key.data)
            else:
                key.data()

    def _attend(self, connection: Connection) -> None:
        """Something can be read from a connection or sent to it."""
        try:
            if connection.phase is Phase.ANSWERING:  # a further request, or the end: not yet
                self._watch(connection, 0)
            elif connection.phase is Phase.LEAVING:
                if connection.has_left():
                    self._drop(connection)
            elif connection.phase is Phase.SENDING:
                connection.send()
                self._after_answer(connection)
            elif connection.receive():
                self._proceed(connection)
            elif connection.phase is Phase.WAITING:
                self._drop(connection)
            else:
                self._refuse(connection, 400, "the request is cut short; send it again")
        except OSError:  # the client has left
            self._drop(connection)
        except Exception:
            self.log.exception("a connection is closed")
            self._drop(connection)

    def _proceed(self, connection: Connection) -> None:
        """Continues with the bytes received so far. Raises `OSError`."""
        incoming = connection.incoming
        try:
            request = incoming.next()
        except RefusedError as error:
            self._refuse(connection, error.status, str(error))
            return
        if connection.size > SMALL:
            self._large.add(connection)
        if request:
            connection.take(request)
            if request.path in PROBES:
                self._enter(connection, Phase.ANSWERING)
                self._at_work += 1
                self._answer(connection)
                self._answered.append(connection)
            elif not self._is_refused(connection, request.method):
                self._enter(connection, Phase.ANSWERING)
                self._ready.append(connection)
        elif not incoming.head:
            self._enter(connection, Phase.HEAD if incoming.received else Phase.WAITING)
        elif self._lacks_key(incoming.head):
            self._refuse(connection, 401, security.NO_KEY)
        elif not self._is_refused(connection, incoming.head.method):
            self._enter(connection, Phase.BODY)
            connection.ask_for_body()

    def _is_refused(self, connection: Connection, method: str) -> bool:
        """Refuses a request for which there is no room."""
        bound = self.settings.threads + self.settings.queue
        most = self.settings.threads * self.settings.max_request_bytes
        is_refused = (method not in UNBOUNDED and self._in_hand >= bound) or (
            connection in self._large and sum(each.size for each in self._large) > most
        )
        if is_refused:
            REFUSED.inc()
            self._refuse(connection, 503, FULL)
        return is_refused

    def _lacks_key(self, head: Any) -> bool:
        """Whether the application would refuse the request because the key is missing; then there
        is no point in waiting for its body."""
        key = self.settings.api_key
        if not key or head.method in UNBOUNDED:
            return False
        return not security.has_key(Headers(head.headers), key)

    def _refuse(self, connection: Connection, status: int, message: str) -> None:
        """Answers a request that cannot reach the application, in the application's format, and
        closes the connection."""
        head = connection.request or connection.incoming.head
        sent = Headers(head.headers if head else ())
        identity = telemetry.request_id(sent.get("X-Request-Id", ""))
        headers = {telemetry.HEADER: identity}
        if self.settings.cors_origins:
            headers |= security.cors_headers(sent, self.settings.cors_origins) | {"Vary": "Origin"}
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = security.CHALLENGE.to_header()
        told = answer.error(status, message, headers)
        REQUESTS.labels("any", "none", str(status)).inc()
        if self.settings.access_log:
            telemetry.log(
                identity,
                client=connection.client[0] if connection.client else None,
                method=head.method if head else None,
                path=unquote(head.path, errors="replace") if head else None,
                status=status,
                size=len(told) - told.index(b"\r\n\r\n") - 4,
                seconds=time.monotonic() - connection.arrived if connection.request else 0,
            )
        connection.answer(told, keep=False)
        self._after_answer(connection)

    def _after_answer(self, connection: Connection) -> None:
        """The answer has been sent, or part of it."""
        self._large.discard(connection)
        try:
            if connection.unsent:
                self._enter(connection, Phase.SENDING)
            elif connection.is_kept:
                self._proceed(connection)
            else:
                connection.leave()
                self._enter(connection, Phase.LEAVING)
        except OSError:
            self._drop(connection)

    def _end(self, connection: Connection) -> None:
        """A phase has taken too long."""
        if connection.phase in (Phase.HEAD, Phase.BODY):
            self._refuse(
                connection, 408, "the request did not arrive completely in time; send it again"
            )
        else:
            self._drop(connection)

    def _enter(self, connection: Connection, phase: Phase) -> None:
        """Starts a phase, or continues it."""
        seconds = self._seconds[phase]
        if connection.phase is not phase:
            connection.phase, connection.since, connection.moved = phase, time.monotonic(), 0
            connection.until = connection.since + seconds
            self._watch(connection, EVENTS.get(phase, connection.watched))
        elif phase in (Phase.BODY, Phase.SENDING) and connection.moved >= SLOWEST * seconds:
            connection.moved, latest = 0, connection.since + LONGEST * seconds
            connection.until = min(time.monotonic() + seconds, latest)

    def _watch(self, connection: Connection, events: int) -> None:
        if connection.watched == events:
            return
        if not connection.watched:
            self._selector.register(connection.socket, events, connection)
        elif events:
            self._selector.modify(connection.socket, events, connection)
        else:
            self._selector.unregister(connection.socket)
        connection.watched = events

    def _drop(self, connection: Connection) -> None:
        if connection.phase is Phase.SENDING:
            with suppress(OSError):
                connection.abort()
        self._watch(connection, 0)
        self._connections.discard(connection)
        self._large.discard(connection)
        connection.socket.close()

    # New connections.

    def _listen(self) -> None:
        """Listens, unless every connection has a request in progress or we are stopping."""
        has_room = self._in_hand < self._most
        wanted = self.alive and has_room and time.monotonic() >= self._accept_from
        if wanted == self._is_accepting:
            return
        self._is_accepting = wanted
        for listener in self.sockets:
            if wanted:
                listener.setblocking(False)
                accept = partial(self._accept, listener, listener.getsockname())
                self._selector.register(listener, EVENT_READ, accept)
            else:
                self._selector.unregister(listener)

    def _accept(self, listener: socket.socket, server: Any) -> None:
        self._make_room(len(self._connections) + ACCEPTED - self._most)
        for _ in range(ACCEPTED):
            try:
                sock, client = listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # no file descriptor is free, most likely
                self._make_room(ACCEPTED)
                self._accept_from = time.monotonic() + PAUSE
                self.log.warning("no new connections for %s s: %s", PAUSE, error)
                return
            incoming = Incoming(self.cfg, client, self.settings.max_request_bytes)
            connection = Connection(sock, client, server, incoming)
            self._connections.add(connection)
            self._enter(connection, Phase.WAITING)

    def _make_room(self, missing: int) -> None:
        """Closes as many connections as needed: those that have kept us waiting for longest, with
        no request, part of one, or an answer that is not being read."""
        if missing <= 0:
            return
        idle = [each for each in self._connections if each.phase is not Phase.ANSWERING]
        for connection in nsmallest(missing, idle, key=self._idle_since):
            self._drop(connection)

    def _idle_since(self, connection: Connection) -> float:
        return connection.until - self._seconds[connection.phase or Phase.WAITING]

    # Between the loop and the threads.

    def _give_out(self) -> None:
        """Gives requests to free threads."""
        self._handfuls = [each for each in self._handfuls if not each.is_done.is_set()]
        while self._ready and len(self._handfuls) < self.cfg.threads:
            handful = self._next_handful()
            self._handfuls.append(handful)
            self._at_work += len(handful.connections)
            self._given.put(handful)
            if handful.is_small:
                handful.is_done.wait(PATIENCE)
                return

    def _next_handful(self) -> _Handful:
        """A large request, or small ones."""
        taken = [self._ready.popleft()]
        is_small = taken[0].size <= SMALL
        while is_small and self._ready and self._ready[0].size <= SMALL and len(taken) < HANDFUL:
            taken.append(self._ready.popleft())
        return _Handful(taken, is_small)

    def _take_back(self) -> None:
        """Takes connections back from threads that have answered."""
        for _ in range(len(self._answered)):
            self._at_work -= 1
            self._after_answer(self._answered.popleft())

    def _empty_pipe(self) -> None:
        """A signal or a thread has woken the loop."""
        os.read(self.PIPE[0], 4096)

    # In each thread.

    def _work(self) -> None:
        """Answers the requests from the loop."""
        try:
            while True:
                self._answer_all(self._given.get())
        except BaseException:
            self.log.exception("the worker ends")
            self.alive = False

    def _answer_all(self, handful: _Handful) -> None:
        """Starts each request; then continues those that have paused."""
        begun = deque((greenlet(self._answer), each) for each in handful.connections)
        while begun:
            request, connection = begun.popleft()
            if request:
                request.switch()
            else:
                request.switch(connection)
            if not request.dead:
                begun.append((request, connection))
                continue
            self._answered.append(connection)
            if not begun:
                handful.is_done.set()
            if self._is_asleep:
                os.write(self.PIPE[1], b".")

    def _answer(self, connection: Connection) -> None:
        deadline.start(connection.arrived, self.settings.deadline_seconds)
        request = connection.request
        try:
            told, keep = answer.answer(
                self.wsgi, request, connection.client, connection.server, self.cfg, self.alive
            )
        except Exception:
            self.log.exception("%s %s failed", request.method, request.uri)
            told, keep = answer.error(500, "the server failed on this request"), False
        connection.answer(told, keep)
