"""Who may ask, from which pages, and what a browser may do with the answers."""

import hmac

from flask import Flask, Response, request
from werkzeug.exceptions import Unauthorized

from wardrobe.serving.settings import Settings

OPEN = (
    "page",
    "static",
    "health.live",
    "health.ready",
    "open_inference.live",
    "open_inference.ready",
)
"""Endpoints that need no key: the page, and what a load balancer asks."""

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def guard(app: Flask, settings: Settings) -> None:
    """Makes the application ask for the key, allow the origins and send the headers of
    `settings`."""
    key, origins = settings.api_key, settings.cors_origins

    def need_key() -> None:
        if request.endpoint in OPEN or request.method == "OPTIONS":
            return
        told = request.headers.get("X-API-Key") or request.headers.get(
            "Authorization", ""
        ).removeprefix("Bearer ")
        if not hmac.compare_digest(told.encode(), str(key).encode()):
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
        app.before_request(need_key)
    if origins:
        app.after_request(allow_origin)
    app.after_request(_harden)


def _harden(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        response.headers.update(PAGE_HEADERS)
    return response
