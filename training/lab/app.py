"""The lab's Flask application, for this machine only, and its server."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request, send_file
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound, ServiceUnavailable
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from wardrobe.models import DeclarationError
from wardrobe.training.errors import TrainingError
from wardrobe.training.lab import declared
from wardrobe.training.lab.session import MOST_SESSIONS, Session, Sessions

HOST = "127.0.0.1"
LARGEST_REQUEST = 2 * declared.LARGEST_TEXT

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(sessions: Sessions) -> Flask:
    """The page and its requests.

    Only the page knows the token that every other request needs: another site in the same browser
    can neither read the page nor guess the token.
    """
    app = Flask(__name__, static_folder="page", static_url_path="/page")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    token = secrets.token_urlsafe(24)
    app.before_request(_refuse_other_hosts)
    app.before_request(lambda: _require(token))
    app.after_request(_with_headers)
    app.register_error_handler(HTTPException, _error)
    page = (Path(__file__).parent / "page" / "index.html").read_text(encoding="utf-8")
    app.add_url_rule("/", "page", lambda: page.replace("TOKEN", token))
    app.add_url_rule("/choices", "choices", lambda: jsonify(declared.choices()))
    app.add_url_rule("/declaration", "declaration", _declaration, methods=["POST"])
    _add_sessions(app, sessions)
    return app


def _add_sessions(app: Flask, sessions: Sessions) -> None:
    def session(name: str) -> Session:
        found = sessions.get(name)
        if found is None:
            raise NotFound("this page's process is gone: reload it")
        return found

    @app.get("/events")
    def events() -> Response:
        opened = sessions.open()
        if opened is None:
            raise ServiceUnavailable(f"{MOST_SESSIONS} pages of the lab are open: close one")

        def until_closed() -> Iterator[str]:
            try:
                yield from opened.events()
            finally:  # the browser has closed the connection
                sessions.end(opened.name)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Response(until_closed(), mimetype="text/event-stream", headers=headers)

    @app.post("/sessions/<name>")
    def command(name: str) -> Response:
        try:
            session(name).send(_command(_json()))
        except OSError:
            raise NotFound("this page's process has ended: reload the page") from None
        return jsonify(done=True)

    @app.get("/sessions/<name>/export.zip")
    def export(name: str) -> Response:
        file = session(name).archive()
        if file is None:
            raise NotFound("no training has finished yet")
        return send_file(file, as_attachment=True, download_name="wardrobe-lab.zip")


def _declaration() -> Response:
    """The text, with changes from the form, the form's values for it, and its errors."""
    asked = _json()
    text = _text(asked)
    told: dict[str, Any] = {}
    if "field" in asked:
        try:
            text = declared.change(text, str(asked["field"]), asked.get("value"))
        except DeclarationError:
            told["refused"] = "correct the YAML first: it cannot be read"
        except (ValueError, TypeError) as error:
            told["refused"] = str(error)
    errors = [{"line": one.line, "message": one.message} for one in declared.errors(text)]
    try:
        shown = declared.form(declared.read(text))
    except DeclarationError:
        shown = None
    return jsonify(yaml=text, form=shown, errors=errors, **told)


def _command(asked: dict[str, Any]) -> dict[str, Any]:
    """One command for the process, checked.

    Raises:
        BadRequest: there is no such command, or the declaration has errors.
    """
    what = asked.get("do")
    if what == "train":
        text = _text(asked)
        if errors := declared.errors(text):
            raise BadRequest(str(errors[0]))
        seed, count = declared.form(declared.read(text))["seed"], asked.get("seeds", 1)
        if type(count) is not int or not 1 <= count <= declared.MOST_SEEDS:
            raise BadRequest(f"seeds: from 1 to {declared.MOST_SEEDS}")
        return {
            "do": what,
            "yaml": text,
            "seeds": [seed + more for more in range(count)],
            "paused": bool(asked.get("paused")),
            "pace": _number(asked.get("pace", 0.0), 2.0),
        }
    if what in ("rate", "pace"):
        return {"do": what, "value": _number(asked.get("value"), 1e6 if what == "rate" else 2.0)}
    if what in ("pause", "go", "step", "stop"):
        return {"do": what}
    raise BadRequest("there is no such command")


def _number(value: Any, largest: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= largest:
        raise BadRequest(f"a number from 0 to {largest:g}, please")
    return float(value)


def _json() -> dict[str, Any]:
    asked = request.get_json()
    if not isinstance(asked, dict):
        raise BadRequest("a JSON object, please")
    return asked


def _text(asked: dict[str, Any]) -> str:
    text = asked.get("yaml")
    if not isinstance(text, str):
        raise BadRequest("`yaml` is the text of the declaration")
    return text


def _refuse_other_hosts() -> None:
    """Refuses requests for another host name, as of a site whose name was made to point here, and
    requests from pages of other sites."""
    name = request.host.rsplit(":", 1)[0]
    if name not in (HOST, "localhost"):
        raise Forbidden("the lab answers this machine only")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        raise Forbidden("the lab answers its own page only")


def _require(token: str) -> None:
    if request.endpoint in ("page", "static"):
        return
    sent = request.headers.get("X-Lab-Token") or request.args.get("token", "")
    if not hmac.compare_digest(sent.encode(), token.encode()):
        raise Forbidden("this page belongs to an earlier lab: reload it")


def _with_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _error(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=error.description), error.code or 500


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def listen(sessions: Sessions, port: int) -> BaseWSGIServer:
    """A server on the loopback address, with a thread per request: a page's events occupy one.

    Werkzeug's own server is for one user on one machine, which is what the lab is for.

    Raises:
        TrainingError: the port is taken.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
        except OSError as error:
            message = f"cannot listen on {HOST}:{port}: {error.strerror}; give another --port"
            raise TrainingError(message) from None
        bound.listen(128)
        return make_server(
            HOST,
            bound.getsockname()[1],
            create_app(sessions),
            threaded=True,
            request_handler=_Quiet,
            fd=bound.fileno(),  # which it duplicates
        )


def run(port: int, backend: str, listening: Callable[[str], None]) -> None:
    """Serves the lab until it is interrupted; calls `listening` with its address.

    Raises:
        TrainingError: the port is taken.
    """
    sessions = Sessions(backend)
    server = listen(sessions, port)
    # The page waits for the names in Keras: loading it takes longer than opening a browser.
    threading.Thread(target=declared.choices, daemon=True).start()
    listening(f"http://{HOST}:{server.port}/")
    try:
        server.serve_forever()
    finally:
        server.server_close()
        sessions.end_all()
