"""Who may use the service, from which pages, and what a browser may do with the responses."""

import hmac

from flask import Flask, Response, request
from werkzeug.exceptions import Unauthorized

from wardrobe.serving.settings import Settings

PUBLIC_ENDPOINTS = (
    "page",
    "static",
    "health.live",
    "health.ready",
    "open_inference.live",
    "open_inference.ready",
)
"""The page, and what a load balancer probes: these need no key."""

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def secure(app: Flask, settings: Settings) -> None:
    """Make the application require the API key, allow the CORS origins and send the headers that
    `settings` ask for."""
    key, origins = settings.api_key, settings.cors_origins

    def require_key() -> None:
        if request.endpoint in PUBLIC_ENDPOINTS or request.method == "OPTIONS":
            return
        sent = request.headers.get("X-API-Key") or request.headers.get(
            "Authorization", ""
        ).removeprefix("Bearer ")
        if not hmac.compare_digest(sent.encode(), str(key).encode()):
            raise Unauthorized("this service needs a key: send it as `Authorization: Bearer KEY`")

    def allow_origin(response: Response) -> Response:
        origin = request.headers.get("Origin")
        response.vary.add("Origin")
        if origin and (origin in origins or "*" in origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = (
                "X-Request-Id, Retry-After, Inference-Header-Content-Length"
            )
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST"
                response.headers["Access-Control-Allow-Headers"] = (
                    "Authorization, Content-Type, Content-Encoding, X-API-Key, X-Request-Id,"
                    " Inference-Header-Content-Length"
                )
                response.headers["Access-Control-Max-Age"] = "600"
        return response

    if key:
        app.before_request(require_key)
    if origins:
        app.after_request(allow_origin)
    app.after_request(_add_security_headers)


def _add_security_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        response.headers.update(PAGE_HEADERS)
    return response
