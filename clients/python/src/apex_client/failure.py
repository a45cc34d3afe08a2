"""What an error of a call says of the call: whether it was made, and what it may have cost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import NotSent

#: Errors of HTTP clients before anything is sent, by the names that they have in httpx, requests, urllib3 and aiohttp.
_UNSENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "NewConnectionError",
        "ConnectTimeoutError",
        "NameResolutionError",
        "ClientConnectorError",
        "UnsupportedProtocol",
    }
)
MAX_CAUSES = 16


@dataclass(frozen=True)
class CallFailure:
    """How a call failed.

    ``unsent``: it was not made. ``answered``: the provider refused it, which costs nothing. ``unknown``: it may have cost all that was
    reserved.
    """

    kind: Literal["unsent", "answered", "unknown"]
    outcome: Literal["ERROR", "TIMEOUT", "CANCELLED"] = "ERROR"


def failure_of(error: BaseException) -> CallFailure:
    """What an error of a call says, by its status, its causes and its name."""
    causes = list(_causes(error))
    if any(isinstance(cause, NotSent) for cause in causes):
        return CallFailure("unsent")
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)):
        return CallFailure("unknown", "CANCELLED")
    if any(_is_unsent(cause) for cause in causes):
        return CallFailure("unsent")
    if any("Timeout" in type(cause).__name__ for cause in causes):
        return CallFailure("unknown", "TIMEOUT")
    if (status := _status(error)) is not None and status >= 400:
        return CallFailure("answered")
    return CallFailure("unknown")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if cause is None:
            return
        yield cause
        # Not the context: another attempt may have been sent while that error was handled.
        cause = cause.__cause__


def _is_unsent(error: BaseException) -> bool:
    is_named = any(kind.__name__ in _UNSENT for kind in type(error).__mro__)
    return is_named or isinstance(error, (ConnectionRefusedError, socket.gaierror))


def _status(error: BaseException) -> int | None:
    """The status that the provider answered with, as SDKs and httpx give it."""
    response = getattr(error, "response", None)
    for holder in (response, error):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    return None
