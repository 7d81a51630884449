"""The Flask application: protocols, health, the page, and one shape of error for all of them."""

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestTimeout

from wardrobe.serving.errors import ServingError
from wardrobe.serving.http import request_body as bodies
from wardrobe.serving.http.health import health
from wardrobe.serving.http.json_text import FastJSON
from wardrobe.serving.http.openapi import openapi
from wardrobe.serving.http.security import guard
from wardrobe.serving.http.telemetry import observe
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.metrics import metrics
from wardrobe.serving.protocols.open_inference import open_inference
from wardrobe.serving.protocols.pictures import pictures
from wardrobe.serving.protocols.tensorflow_serving import add_converters, tensorflow_serving
from wardrobe.serving.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The service as a WSGI application, all models loaded; settings from the environment if none
    are given, so that `gunicorn "serving.app:create_app()"` works.

    The models are loaded here, before a worker accepts its first connection: a worker that was
    restarted answers nothing rather than 503 beside a healthy one, and readiness needs no guess.
    """
    settings = settings or Settings.from_environment()
    repository = Repository(settings.artifacts, settings.model, settings.latest)
    repository.load()

    app = Flask(__name__, static_folder="page", static_url_path="/page")
    app.json = FastJSON(app)
    add_converters(app.url_map)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.extensions["repository"] = repository
    observe(app, log=bool(settings.access_log))
    guard(app, settings)
    for protocol in (pictures, tensorflow_serving, open_inference):
        app.register_blueprint(protocol(repository, settings))
    app.register_blueprint(health(repository))
    app.register_blueprint(metrics())
    app.register_blueprint(openapi())
    app.add_url_rule("/", "page", lambda: app.send_static_file("index.html"))
    app.after_request(bodies.compress)
    app.register_error_handler(ServingError, _serving_error)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _serving_error(error: ServingError) -> tuple[Response, int]:
    return jsonify(error=str(error)), error.status


def _http_error(error: HTTPException) -> Response:
    """Flask's and Werkzeug's own errors, in our words where theirs do not say what to do."""
    if isinstance(error, ClientDisconnected):
        error = RequestTimeout("the request did not arrive whole in time; send it again")
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
