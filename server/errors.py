"""Everything that can go wrong in words a caller understands, and one table that says how each is told over HTTP.

This module knows no web framework: `problems.py` turns a row into an answer.
"""

from __future__ import annotations

from dataclasses import dataclass


class ConfigurationError(Exception):
    """The server cannot start as it was asked to; the message says what to change."""


class ModelError(Exception):
    """A model folder or its graph breaks the contract; the message says how."""


class ApiError(Exception):
    """A caller's request cannot be answered.

    Args:
        detail: One sentence that names the value, the rule and the remedy.
        retry_after: Seconds after which the same request may succeed.
        members: More members of the problem document, such as `models` or `parameter`.
    """

    def __init__(self, detail: str, *, retry_after: int | None = None, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.members = members


class BadRequestError(ApiError):
    """The body is not what its content type says."""


class BadImageError(ApiError):
    """The bytes are not a complete image of an accepted format."""


class OriginRefusedError(ApiError):
    """A page of another origin tried to translate or to open a socket."""


class UnknownModelError(ApiError):
    """No model has this id."""


class UnknownSampleError(ApiError):
    """The model has no such sample or picture."""


class NotFoundError(ApiError):
    """No route has this path."""


class MethodNotAllowedError(ApiError):
    """The route does not know this method."""


class NotAcceptableError(ApiError):
    """The Accept header names nothing that can be made."""


class BodyTooLargeError(ApiError):
    """More bytes than the server reads."""


class ImageTooLargeError(ApiError):
    """More pixels than the server decodes."""


class UnsupportedMediaTypeError(ApiError):
    """The content type of the body is not one of the accepted ones."""


class BadParameterError(ApiError):
    """A parameter is unknown, of the wrong kind or out of its range."""


class MissingInputError(ApiError):
    """The model needs a picture that was not sent."""


class UnknownInputError(ApiError):
    """A picture was sent for an input that the model does not have."""


class NoTracerError(ApiError):
    """Lines were asked for of a photo, and no model of the server makes them."""


class OffPaletteError(ApiError):
    """A label picture has too many pixels that are far from every colour of the palette."""


class QueueFullError(ApiError):
    """Too many translations wait already."""


class TooManyConnectionsError(ApiError):
    """Too many sockets are open, in all or from one address."""


class InternalError(ApiError):
    """A fault of the server."""


class ModelFailedError(ApiError):
    """The model could not be loaded or run."""


class ShuttingDownError(ApiError):
    """The server is about to stop and takes no more work."""


class DeadlinePassedError(ApiError):
    """The translation waited longer than the deadline."""


@dataclass(frozen=True)
class ErrorRow:
    """How one error is told: HTTP status, stable code, and a title that is the same each time."""

    status: int
    code: str
    title: str


ERRORS: dict[type[ApiError], ErrorRow] = {
    BadRequestError: ErrorRow(400, "bad_request", "The body could not be read"),
    BadImageError: ErrorRow(400, "bad_image", "Not a readable image"),
    OriginRefusedError: ErrorRow(403, "origin_refused", "This origin may not use the server"),
    UnknownModelError: ErrorRow(404, "unknown_model", "No such model"),
    UnknownSampleError: ErrorRow(404, "unknown_sample", "No such sample"),
    NotFoundError: ErrorRow(404, "not_found", "No such page"),
    MethodNotAllowedError: ErrorRow(405, "method_not_allowed", "Method not allowed"),
    NotAcceptableError: ErrorRow(406, "not_acceptable", "No acceptable format"),
    BodyTooLargeError: ErrorRow(413, "body_too_large", "The body is too large"),
    ImageTooLargeError: ErrorRow(413, "image_too_large", "The image has too many pixels"),
    UnsupportedMediaTypeError: ErrorRow(415, "unsupported_media_type", "Unsupported content type"),
    BadParameterError: ErrorRow(422, "bad_parameter", "A parameter is not valid"),
    MissingInputError: ErrorRow(422, "missing_input", "An input is missing"),
    UnknownInputError: ErrorRow(422, "unknown_input", "The model has no such input"),
    NoTracerError: ErrorRow(422, "no_tracer", "No model here traces photos"),
    OffPaletteError: ErrorRow(422, "off_palette", "The colours are not those of the palette"),
    QueueFullError: ErrorRow(429, "queue_full", "Too many requests are waiting"),
    TooManyConnectionsError: ErrorRow(429, "too_many_connections", "Too many connections"),
    InternalError: ErrorRow(500, "internal", "Something went wrong in the server"),
    ModelFailedError: ErrorRow(503, "model_failed", "The model does not work at present"),
    ShuttingDownError: ErrorRow(503, "shutting_down", "The server is stopping"),
    DeadlinePassedError: ErrorRow(504, "timeout", "It took too long to get a turn"),
}
"""One row a class; docs/protocol.md lists the same codes and a test compares them."""


def problem(error: ApiError, request_id: str) -> dict[str, object]:
    """The members of the RFC 9457 document for `error`."""
    row = ERRORS[type(error)]
    return {
        "type": "about:blank",
        "title": row.title,
        "status": row.status,
        "code": row.code,
        "detail": error.detail,
        "request_id": request_id,
        **error.members,
    }
