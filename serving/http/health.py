"""What a load balancer asks: is the process alive, and would it answer a prediction?"""

from flask import Blueprint, Response, jsonify

from wardrobe.serving.inference.repository import Repository


def health(repository: Repository) -> Blueprint:
    """The blueprint of `GET /health/live` and `GET /health/ready`.

    Ready also lists every model version, and why one is not served.
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
