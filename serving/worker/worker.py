"""gunicorn's threaded worker, with what it lacks: a bound on its queue, a deadline, a way out, and
requests that cost no change of threads.

One thread leads: it waits for requests and answers them itself. Small ones that have arrived
together it begins together, each on a stack of its own, so that they share a call of the network.
A thread that is at a request for longer than `PATIENCE`, since the picture is large or the sender
slow, loses the lead to another; where all are at work, the main thread keeps looking, to refuse
what is too much. A request that finds the queue full is answered 503 at once, before anything of it
is read.
"""

import math
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from selectors import EVENT_READ
from typing import Any

from greenlet import greenlet
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from wardrobe.serving import deadline
from wardrobe.serving.metrics import IN_HAND, REFUSED
from wardrobe.serving.settings import Settings
from wardrobe.serving.worker.connection import LINGER, Answer, Body, Connection

PATIENCE = 0.01
"""Seconds in which a request is expected to be answered, and between two looks at whether it is."""
HANDFUL = 16
"""Requests that a thread begins before it ends the first."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """See above. `settings` is set by the server before the workers start."""

    settings: Settings
    alive: bool

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_draining = False
        self._is_over = False
        self._told_arbiter = 0.0
        self._lock = threading.Lock()  # of everything below
        self._vacancy = threading.Condition(self._lock)
        self._busy = threading.Event()
        self._leader: int | None = None
        self._answered: list[Connection] = []  # by the leader
        self._since = math.inf  # the leader went on with one of them
        self._looked = 0.0
        self._at_work = 0
        self._ready: deque[Connection] = deque()  # a request has arrived
        self._waiting: set[Connection] = set()  # for a request, or for the client to leave

    def run(self) -> None:
        """In the main thread: sees to it that somebody leads, and ends."""
        self.set_accept_enabled(True)
        self.poller.register(self.method_queue, EVENT_READ, self.method_queue.run_callbacks)
        for _ in range(self.cfg.threads):
            self.tpool.submit(self._work)
        while self.alive and self.is_parent_alive():
            self._oversee()
        self.alive = False
        until = time.monotonic() + self.cfg.graceful_timeout
        self._hasten(time.monotonic() + STOP_KEEPALIVE_LINGER)
        while self.nr_conns and time.monotonic() < until:
            self._oversee()
        with self._lock:
            self._is_over = True
            self._vacancy.notify_all()
        self._wake_leader()
        self.tpool.shutdown()
        for listener in self.sockets:
            listener.close()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: readiness turns false first, so that who balances load sends nobody any more;
        then what is in flight is finished."""
        if self._is_draining or self.wsgi is None:
            super().handle_exit(sig, frame)
            return
        self._is_draining = True
        self.wsgi.extensions["repository"].retire()
        leave = threading.Timer(self.settings.drain_seconds, super().handle_exit, (sig, frame))
        leave.daemon = True
        leave.start()

    def _oversee(self) -> None:
        """Takes the lead from who takes too long; closes what is idle for too long."""
        self._busy.wait(timeout=0.5)
        time.sleep(PATIENCE)
        now = time.monotonic()
        if now - self._told_arbiter > 0.5:
            self._told_arbiter = now
            self.notify()
        with self._lock:
            IN_HAND.set(self._at_work + len(self._ready))
            if self._since == math.inf:
                self._busy.clear()
            elif self._leader and now - self._since > PATIENCE:
                for connection in self._answered:
                    if connection not in self._waiting:  # those are answered already
                        self._unwatch(connection)
                self._leader = None
                self._vacancy.notify()
            for connection in [each for each in self._waiting if each.until < now]:
                self._forget(connection)
            nobody_leads = self._leader is None
        if nobody_leads:
            self._look(0)

    def _work(self) -> None:
        """In each thread: waits for the lead, answers as long as it has it."""
        try:
            while connections := self._next():
                self._answer(connections)
        except BaseException:
            self.log.exception("the worker ends")
            self.alive = False

    def _next(self) -> list[Connection]:
        """The next requests for the thread that asks; none when the worker is over."""
        me = threading.get_ident()
        while True:
            with self._lock:
                while self._leader not in (None, me) and not self._is_over:
                    self._vacancy.wait()
                if self._is_over:
                    return []
                self._leader, self._since = me, math.inf
                now = time.monotonic()
                if self._ready and now - self._looked < PATIENCE:
                    self._answered, self._since = self._take_ready(), now
                    self._at_work += len(self._answered)
                    if not self._busy.is_set():
                        self._busy.set()
                    return self._answered
            self._look(0 if self._ready else 1)

    def _take_ready(self) -> list[Connection]:
        """A request that may take long, or some that are small and here to the last byte."""
        taken = [self._ready.popleft()]
        while taken[-1].is_whole and self._ready and self._ready[0].is_whole:
            taken.append(self._ready.popleft())
            if len(taken) == HANDFUL:
                break
        return taken

    def _answer(self, connections: list[Connection]) -> None:
        """Begin with all of them; go on with each that paused when the others have begun."""
        begun = deque((greenlet(self.handle), each) for each in connections)
        while begun:
            request, connection = begun.popleft()
            if self._leader == threading.get_ident():
                self._since = time.monotonic()
            keep = request.switch() if request else request.switch(connection)
            if not request.dead:
                begun.append((request, connection))
                continue
            with self._lock:
                self._at_work -= 1
                self._put_back(connection, keep)

    def handle(self, conn: Connection) -> Any:
        deadline.start(conn.arrived, self.settings.deadline_seconds)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """As gunicorn's, without its hooks and its log; says whether the connection is kept."""
        if isinstance(req.body.reader, LengthReader):
            req.body = Body(conn.parser.unreader, req.body.reader.length)
        answer, environ = wsgi.create(
            req, conn.sock, conn.client, conn.server, self.cfg, response_class=Answer
        )
        environ["wsgi.multithread"] = True
        if not self.alive:
            answer.force_close()
        pieces = self.wsgi(environ, answer.start_response)
        try:
            for piece in pieces:
                answer.write(piece)
            answer.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return not answer.should_close()

    def _look(self, seconds: float) -> None:
        """Wait so long for requests and new connections, and take them in."""
        events = self.poller.select(seconds)
        with self._lock:
            self._looked = time.monotonic()
            for key, _ in events:
                if isinstance(key.data, Connection):
                    self._take_in(key.data)
                else:
                    key.data(key.fileobj)
            self.set_accept_enabled(self.alive and self.nr_conns < self.worker_connections)

    def accept(self, listener: socket.socket) -> None:
        """A connection costs no thread until a request arrives on it."""
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, address = listener.accept()
            connection = Connection(self.cfg, client, address, listener.getsockname())
            connection.data_ready = True  # when a thread takes it up, that is
            connection.seconds = self.settings.deadline_seconds
            self.nr_conns += 1
            self._wait_for(connection, self.cfg.keepalive)

    def _take_in(self, connection: Connection) -> None:
        """Something has arrived on a connection: a request, which may be refused, or its end."""
        if connection not in self._waiting:
            return
        if connection.is_leaving:
            if connection.has_left():
                self._forget(connection)
            return
        in_hand = self._at_work + len(self._ready)
        if in_hand >= self.settings.threads + self.settings.queue and connection.is_post():
            REFUSED.inc()
            connection.refuse()
            self._put_back(connection, keep=False)
            return
        self._waiting.remove(connection)
        self._make_ready(connection, connection.has_whole_request())

    def _put_back(self, connection: Connection, keep: bool) -> None:
        """After an answer."""
        if not keep:
            try:
                connection.leave()
                self._wait_for(connection, LINGER)
            except OSError:
                self._forget(connection)
        elif connection.holds_another_request():
            self._make_ready(connection, is_whole=False)
            self._wake_leader()
        else:
            self._wait_for(connection, self.cfg.keepalive)

    def _make_ready(self, connection: Connection, is_whole: bool) -> None:
        connection.arrived, connection.is_whole = time.monotonic(), is_whole
        self._ready.append(connection)

    def _wait_for(self, connection: Connection, seconds: float) -> None:
        connection.until = time.monotonic() + seconds
        self._waiting.add(connection)
        if not connection.is_watched:
            connection.is_watched = True
            self.poller.register(connection.sock, EVENT_READ, connection)

    def _unwatch(self, connection: Connection) -> None:
        if connection.is_watched:
            connection.is_watched = False
            self.poller.unregister(connection.sock)

    def _forget(self, connection: Connection) -> None:
        self._waiting.discard(connection)
        self._unwatch(connection)
        self.nr_conns -= 1
        connection.close()

    def _hasten(self, until: float) -> None:
        """Those who wait for a request wait no longer than this."""
        with self._lock:
            for connection in self._waiting:
                connection.until = min(connection.until, until)

    def _wake_leader(self) -> None:
        """So that it looks around, should it be waiting for something to arrive."""
        self.method_queue.defer(lambda: None)
