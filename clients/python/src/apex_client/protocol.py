"""What is sent to Apex and what its answers mean, without I/O: the clients drive it, synchronously or not.

A step of a generator is a request to send or a pause; it is resumed with what the server replied.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import Forbidden, Rejected, RequestError, Unauthenticated, Unavailable

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 2.0
MAX_REPLY_BYTES = 8 * 1024 * 1024

#: Errors of GraphQL after which the same request is sent again.
RETRIED_CODES = frozenset({"BUSY", "CONTENDED", "INDETERMINATE", "LATE", "RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"})
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

_REFUSAL = "refusal { reason budgetId dimension left renewsAt degrade { model amount } approval { uuid expiresAt } pausedAgentId }"
_RESERVATION = (
    """reservation { uuid status partly cost expiresAt
    usage { input output cacheRead cacheWrite5Min cacheWrite1Hour reasoning audioInput audioOutput imageInput imageOutput
            images requests searches mediaMs characters } """
    + _REFUSAL
    + " }"
)

RESERVE = (
    "mutation ($input: ReserveSpendInput!) { result: reserveSpend(input: $input) { position error { code message field } "
    + _RESERVATION
    + " } }"
)
EXTEND = (
    "mutation ($input: ExtendReservationInput!) { result: extendReservation(input: $input) { error { code message field } "
    + _REFUSAL
    + " "
    + _RESERVATION
    + " } }"
)
RELEASE = (
    "mutation ($input: ReleaseReservationInput!) { result: releaseReservation(input: $input) { error { code message field } } }"
)
REPORT = "mutation ($input: ReportCallInput!) { result: reportCall(input: $input) { error { code message field } call { id cost } } }"
BUDGETS = """query ($after: String, $position: Position) { result: budgets(first: 500, after: $after, minPosition: $position) {
    nodes { closed control { onUnreachable conditions { dimension value } } } pageInfo { hasNextPage endCursor } } }"""


@dataclass(frozen=True)
class Send:
    """A request to send."""

    body: bytes
    timeout_s: float


@dataclass(frozen=True)
class Pause:
    """Time to wait."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """What came back: a response, or why there is none."""

    status: int = 0
    body: bytes = b""
    retry_after_s: float | None = None
    failure: str | None = None


T = TypeVar("T")
Steps = Generator[Send | Pause, "Reply | None", T]


@dataclass(frozen=True)
class _Retry:
    reason: str
    after_s: float = 0.0


class Deadline:
    """The time until which an operation may be tried."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """The seconds that are left."""
        return self._end - time.monotonic()


class Backoff:
    """Pauses that grow, by half at random, so that clients do not return at the same moment."""

    def __init__(self) -> None:
        self._bound_s = FIRST_PAUSE_S

    def next_s(self, at_least_s: float = 0.0) -> float:
        """The next pause."""
        pause = self._bound_s * (0.5 + random.random() / 2)
        self._bound_s = min(2 * self._bound_s, MAX_PAUSE_S)
        return max(pause, at_least_s)


def execute(what: str, document: str, variables: Mapping[str, Any], deadline: Deadline, attempt_s: float) -> Steps[Any]:
    """Sends a request until the server answers it: each attempt is the same to the byte, so that it has one effect.

    Returns the result of the operation. Raises Unavailable at the deadline, and RequestError if it is of no use to try again.
    """
    body = json.dumps({"query": document, "variables": variables}, separators=(",", ":")).encode()
    backoff = Backoff()
    reason = "no attempt was made"
    while (left_s := deadline.left_s) > 0:
        reply = yield Send(body, min(left_s, attempt_s))
        judged = _judge(reply or Reply(failure="no reply"))
        if not isinstance(judged, _Retry):
            return judged
        reason = judged.reason
        pause_s = backoff.next_s(judged.after_s)
        if pause_s >= deadline.left_s:
            break
        yield Pause(pause_s)
    raise Unavailable(what, reason)


def command(what: str, document: str, given: Mapping[str, Any], deadline: Deadline, attempt_s: float) -> Steps[dict[str, Any]]:
    """Executes a mutation with an input. Raises Rejected if a rule rejects it."""
    payload: dict[str, Any] = yield from execute(what, document, {"input": given}, deadline, attempt_s)
    error = payload.get("error")
    if error is not None and payload.get("refusal") is None:
        raise Rejected(error["code"], error["message"], error.get("field"))
    return payload


def _judge(reply: Reply) -> Any:
    if reply.failure is not None:
        return _Retry(reply.failure)
    after_s = reply.retry_after_s or 0.0
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    errors = answer.get("errors") if isinstance(answer, dict) else None
    errors = [error for error in errors or [] if not _is_of_unread_call(error)]
    if errors:
        return _judge_error(errors[0], reply.status, after_s)
    if reply.status in RETRIED_STATUSES:
        return _Retry(f"status {reply.status}", after_s)
    if reply.status != 200 or not isinstance(answer, dict):
        raise RequestError(f"HTTP_{reply.status}", "the server answers, but not as Apex does: check the URL")
    result = (answer.get("data") or {}).get("result")
    if result is None:
        raise RequestError("NO_RESULT", "the server answers without a result")
    return result


def _is_of_unread_call(error: Mapping[str, Any]) -> bool:
    """Whether the command was executed, and the credential may not read calls: an agent may report its calls only."""
    path = error.get("path") or []
    return path[:2] == ["result", "call"] and (error.get("extensions") or {}).get("code") == "FORBIDDEN"


def _judge_error(error: Mapping[str, Any], status: int, after_s: float) -> _Retry:
    extensions = error.get("extensions") or {}
    code, message = str(extensions.get("code", f"HTTP_{status}")), str(error.get("message", ""))
    if code in RETRIED_CODES or (status in RETRIED_STATUSES and code != "INTERNAL"):
        return _Retry(f"{code}: {message}", max(after_s, float(extensions.get("retryAfterMs") or 0) / 1000))
    if code == "UNAUTHENTICATED":
        raise Unauthenticated(code, message)
    if code == "FORBIDDEN":
        raise Forbidden(code, message)
    raise RequestError(code, message)
