"""Who may use the service, from which pages, and what a browser may do with the responses."""

import hmac
from collections.abc import Collection
from functools import partial

from flask import Flask, Response, request
from werkzeug.datastructures import Headers, WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized, UnsupportedMediaType

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

CHANGING_ENDPOINTS = ("open_inference.load", "open_inference.unload")
"""What changes the state of the service."""

CHALLENGE = WWWAuthenticate("bearer", {"realm": "wardrobe service"})
NO_KEY = "this service needs a key: send it as `Authorization: Bearer KEY`"

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def secure(app: Flask, settings: Settings) -> None:
    """Make the application require the API key, guard what changes its state, allow the CORS
    origins and send the headers that `settings` ask for."""
    key, origins = settings.api_key, settings.cors_origins

    def require_key() -> None:
        if request.endpoint in PUBLIC_ENDPOINTS or request.method == "OPTIONS":
            return
        if not has_key(request.headers, str(key)):
            raise Unauthorized(NO_KEY, www_authenticate=CHALLENGE)

    def guard_changes() -> None:
        if request.endpoint in CHANGING_ENDPOINTS and request.method != "OPTIONS":
            _check_change(settings)

    if key:
        app.before_request(require_key)
    app.before_request(guard_changes)
    if origins:
        app.after_request(partial(_allow_origin, origins))
    app.after_request(_add_security_headers)


def has_key(headers: Headers, key: str) -> bool:
    """Whether a request's headers carry the key."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    sent = headers.get("X-API-Key") or (token.strip() if scheme.lower() == "bearer" else "")
    return hmac.compare_digest(sent.encode(), key.encode())


def cors_headers(headers: Headers, origins: Collection[str]) -> dict[str, str]:
    """The headers that let a page of one of the `origins` read the answer to its request."""
    origin = headers.get("Origin")
    if not origin or not (origin in origins or "*" in origins):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": (
            "X-Request-Id, Retry-After, Inference-Header-Content-Length"
        ),
    }


def _check_change(settings: Settings) -> None:
    """Whether a request may change which models are loaded.

    A browser sends a page's simple POST to any host without asking that host first. So a change
    takes what only a program sends, or a page that was allowed to: its origin by name (`*` does not
    count), and a content type, key or user agent that the browser asks about. The user agent is for
    Triton's clients, which send no content type.
    """
    if not settings.repository_changes:
        raise Forbidden(
            "clients may not load or unload models here; the operator can allow it with"
            " WARDROBE_REPOSITORY_CHANGES=1, or write `loaded` into the model's serving.json"
        )
    origin = request.headers.get("Origin")
    if origin is not None and origin not in settings.cors_origins:
        raise Forbidden(f"pages of {origin} may not change which models are loaded")
    is_program = not request.headers.get("User-Agent", "Mozilla/").startswith("Mozilla/")
    is_with_key = "X-API-Key" in request.headers or "Authorization" in request.headers
    if not (request.is_json or (not request.mimetype and (is_program or is_with_key))):
        raise UnsupportedMediaType("send this request with `Content-Type: application/json`")


def _allow_origin(origins: Collection[str], response: Response) -> Response:
    response.vary.add("Origin")
    allowed = cors_headers(request.headers, origins)
    response.headers.update(allowed)
    if allowed and request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Content-Encoding, X-API-Key, X-Request-Id,"
            " Inference-Header-Content-Length"
        )
        response.headers["Access-Control-Max-Age"] = "600"
    return response


def _add_security_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.mimetype == "text/html":
        response.headers.update(PAGE_HEADERS)
    return response
