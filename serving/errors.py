"""Failures as callers see them, in one format.

    {"error": {"code": …, "message": …, "field": …, "request_id": …}}

4xx is the caller's fault, and the message says what to change. 5xx is the service's fault, and
the message contains no internals.
"""

from typing import Final, Literal

from msgspec import Struct

Code = Literal[  # codes keep their names, so that programs can rely on them; new ones may come
    "bad_json",
    "bad_request",
    "bad_chunk",
    "bad_transfer_encoding",
    "incomplete_request",
    "missing_host",
    "repeated_host",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "too_slow",
    "too_large",
    "head_too_large",
    "invalid",
    "too_many_requests",
    "internal",
    "unavailable",
    "timeout",
]
CODES: Final[dict[int, Code]] = {  # of a status, unless a failure has its own code
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    422: "invalid",
    429: "too_many_requests",
    431: "head_too_large",
    500: "internal",
    503: "unavailable",
    504: "timeout",
}
MESSAGES = {
    401: "This call needs a valid API key: send it as `Authorization: Bearer KEY` or `X-API-Key`.",
    403: "This key may not make this call. Use a key with a higher role.",
    404: "This path does not exist. GET /contract/openapi-3.0.json lists the calls.",
    405: "This path does not answer this method. GET /contract/openapi-3.0.json lists the calls.",
    408: "The request did not arrive completely in time. Send it again.",
    429: "Too many requests at once. Wait a moment, then repeat the request.",
    500: "The service failed. Its log describes the failure under this request_id.",
    503: "The service cannot answer now. Repeat the request in a few seconds.",
    504: "The answer took too long. Send fewer leads in one request, or repeat it.",
}
RETRY_SECONDS = {429: 1, 503: 2, 504: 2}


class RequestError(Exception):
    """A request that cannot be answered as it is.

    Parameters
    ----------
    status : int
        The HTTP status, one of `CODES`.
    message : str
        What is wrong, what was expected, what to do.
    field : str, optional
        Where in the request, such as `leads[3].attributes.city`.
    retry_after : int, optional
        Seconds after which the same request may succeed.
    code : str, optional
        The kind of the failure; without it, that of the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        retry_after: int | None = None,
        code: Code | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.code = code or CODES[status]
        self.retry_after = RETRY_SECONDS.get(status) if retry_after is None else retry_after


class FailureDetail(Struct, frozen=True):
    """One problem: the fault, the expected input, and what to do."""

    code: Code
    message: str
    field: str | None
    request_id: str


class Failure(Struct, frozen=True):
    """The body of every failure."""

    error: FailureDetail


def failure(error: RequestError, request_id: str) -> Failure:
    """Build the body of a failure. An empty message is replaced by that of the status.

    Examples
    --------
    >>> failure(RequestError(413, "The body is too large."), "r1").error.code
    'too_large'
    """
    message = error.message or MESSAGES[error.status]
    return Failure(FailureDetail(error.code, message, error.field, request_id))
