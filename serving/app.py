"""The Flask application: protocols, probes, the page, and one shape of error for all of them."""

import gzip
import zlib
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Map

from wardrobe.serving.errors import ServingError
from wardrobe.serving.http.json import FastJSON
from wardrobe.serving.http.openapi import openapi
from wardrobe.serving.http.security import secure
from wardrobe.serving.http.telemetry import instrument
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.metrics import metrics
from wardrobe.serving.protocols.open_inference import open_inference
from wardrobe.serving.protocols.pictures import pictures
from wardrobe.serving.protocols.tensorflow_serving import add_converters, tensorflow_serving
from wardrobe.serving.settings import Settings

COMPRESSED_FROM = 1024
"""Bytes below which a response is sent as it is: compressing it would only delay it."""
COMPRESSION_LEVEL = 1
"""Most of the gain for a fraction of the time."""


def create_app(settings: Settings | None = None) -> Flask:
    """The service as a WSGI application, all models loaded. Without `settings` they are read from
    the environment, so that `gunicorn "serving.app:create_app()"` works.

    The models are loaded here, before a worker accepts its first connection: a restarting worker
    then takes no request that it cannot answer, and readiness needs no guess.
    """
    settings = settings or Settings.from_environment()
    repository = Repository(settings.artifacts, settings.model, settings.latest)
    repository.load()

    app = Flask(__name__, static_folder="page", static_url_path="/page")
    app.json = FastJSON(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.extensions["repository"] = repository
    _switch_redirects_off(app.url_map)
    add_converters(app.url_map)
    instrument(app, access_log=bool(settings.access_log))
    secure(app, settings)
    app.register_blueprint(pictures(repository, settings))
    app.register_blueprint(tensorflow_serving(repository))
    app.register_blueprint(open_inference(repository))
    app.register_blueprint(health(repository))
    app.register_blueprint(metrics())
    app.register_blueprint(openapi())
    app.add_url_rule("/", "page", lambda: app.send_static_file("index.html"))
    app.after_request(_compress)
    app.register_error_handler(ServingError, _serving_error)
    app.register_error_handler(HTTPException, _http_error)
    _mount(app, settings.prefix.rstrip("/"))
    return app


def _mount(app: Flask, prefix: str) -> None:
    """Answer paths under `prefix` as those without it. The page's own addresses are relative."""
    if not prefix:
        return
    answer: Any = app.wsgi_app

    def below(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("PATH_INFO"):
            return answer(environ, start_response)
        # The bare prefix: what the page names would be looked for beside it, not below it.
        to_folder = Response(status=308, headers={"Location": f"{prefix.rpartition('/')[2]}/"})
        return to_folder(environ, start_response)

    app.wsgi_app = DispatcherMiddleware(answer, {prefix: below})  # type: ignore[method-assign]


def _switch_redirects_off(url_map: Map) -> None:
    """Werkzeug would redirect a path that is not quite right, to the host that the client names:
    a slash at its end makes no difference now, and two in a row are not found."""
    url_map.strict_slashes = url_map.merge_slashes = url_map.redirect_defaults = False


def health(repository: Repository) -> Blueprint:
    """The blueprint of a load balancer's probes: `GET /health/live`, is the process alive, and
    `GET /health/ready`, would it answer a prediction? The latter also lists every model version,
    with the reason if one is not served.
    """
    blueprint = Blueprint("health", __name__, url_prefix="/health")

    @blueprint.get("/live")
    def live() -> Response:
        return jsonify(live=True)

    @blueprint.get("/ready")
    def ready() -> tuple[Response, int]:
        is_ready, models = repository.ready, repository.describe()
        if is_ready:
            return jsonify(ready=True, models=models), 200
        error = "no model can answer; `models` says why"
        return jsonify(ready=False, error=error, models=models), 503

    return blueprint


def _compress(response: Response) -> Response:
    """Compress a response that is large enough, in an encoding that its client accepts."""
    accepted = request.accept_encodings
    if (
        not accepted
        or response.direct_passthrough
        or "Content-Encoding" in response.headers
        or (response.content_length or 0) < COMPRESSED_FROM
    ):
        return response
    encoding = accepted.best_match(("gzip", "deflate"))
    if encoding:
        compress = gzip.compress if encoding == "gzip" else zlib.compress
        response.set_data(compress(response.get_data(), COMPRESSION_LEVEL))
        response.headers["Content-Encoding"] = encoding
        response.vary.add("Accept-Encoding")
    return response


def _serving_error(error: ServingError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


def _http_error(error: HTTPException) -> Response:
    """Flask's and Werkzeug's own errors, in our words where theirs do not say what to do."""
    if isinstance(error, ClientDisconnected):
        error = RequestTimeout("the request did not arrive completely in time; send it again")
    messages = {
        404: f"there is nothing at {request.path}; pictures go to POST /predict",
        405: f"{request.method} is not possible at {request.path}; see the header Allow",
        413: "the request has too many bytes or parts; send fewer or smaller pictures at a time",
        500: "the server failed on this request; its log says why",
    }
    response = jsonify(error=messages.get(error.code or 500, error.description))
    response.status_code = error.code or 500
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response
