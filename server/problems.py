"""Turns every failure into one shape of answer: RFC 9457 problem documents. The words and codes are those of `errors.py`."""

from __future__ import annotations

import json
import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.errors import (
    ERRORS,
    ApiError,
    BadParameterError,
    BadRequestError,
    BodyTooLargeError,
    InternalError,
    MethodNotAllowedError,
    NotFoundError,
    problem,
)
from server.logs import request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
INTERNAL_DETAIL = "Something went wrong in the server; its log has this request_id."


def problem_response(error: ApiError, headers: dict[str, str] | None = None) -> Response:
    """The answer that tells `error`."""
    body = json.dumps(problem(error, request_id.get()), ensure_ascii=False, default=str).encode()
    extra = dict(headers or {})
    if error.retry_after is not None:
        extra["Retry-After"] = str(error.retry_after)
    return Response(body, ERRORS[type(error)].status, extra, MEDIA_TYPE)


def install_handlers(app: FastAPI, rejected: Counter) -> None:
    """Makes every error that reaches the framework a problem document, its own 404 and 405 included."""

    def tell(error: ApiError, headers: dict[str, str] | None = None) -> Response:
        rejected.labels(ERRORS[type(error)].code).inc()
        return problem_response(error, headers)

    async def tell_api_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return tell(error)

    async def tell_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return tell(_from_http(request, error), dict(error.headers or {}))

    async def tell_validation_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return tell(_from_validation(error))

    app.add_exception_handler(ApiError, tell_api_error)
    app.add_exception_handler(HTTPException, tell_http_error)
    app.add_exception_handler(RequestValidationError, tell_validation_error)


def internal_error(error: Exception) -> InternalError:
    """A fault of ours: the log gets everything, the caller the request's id."""
    log.error("an unexpected error", exc_info=error)
    return InternalError(INTERNAL_DETAIL)


def _from_http(request: Request, error: HTTPException) -> ApiError:
    path = request.url.path[:200]
    if error.status_code == 404:
        return NotFoundError(f"There is nothing at '{path}'; /docs lists the routes.")
    if error.status_code == 405:
        return MethodNotAllowedError(f"'{path}' does not know {request.method}; /docs lists the routes.")
    if error.status_code == 413:
        return BodyTooLargeError(str(error.detail))
    if error.status_code < 500:
        return BadRequestError(str(error.detail))
    return InternalError(INTERNAL_DETAIL)


def _from_validation(error: RequestValidationError) -> ApiError:
    first = error.errors()[0]
    name = str(first["loc"][-1]) if first.get("loc") else "request"
    return BadParameterError(f"'{name}': {first.get('msg', 'not valid')}.", parameter=name)
