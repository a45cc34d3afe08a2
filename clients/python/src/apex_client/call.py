"""A call that is reserved: what the synchronous and the asynchronous one have in common."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4, uuid5

from . import reserving
from .attributes import Attributes
from .errors import Rejected
from .failure import failure_of
from .protocol import REPORT, Deadline, Steps, command
from .reserving import Granted
from .settings import Settings
from .usage import Usage, usage_of

LOG = logging.getLogger("apex_client")

Outcome = Literal["OK", "ERROR", "TIMEOUT", "CANCELLED", "REFUSED"]


@dataclass(frozen=True)
class Settled:
    """A call that is charged."""

    #: The global id of the call; None if it was charged before, under another reservation, since the provider repeated a response,
    #: and if the credential may not read calls, as those of agents.
    call_id: str | None
    #: What it is charged, in US dollars; None if its model has no price, or the credential may not read calls.
    cost: Decimal | None


@dataclass(frozen=True)
class Ending:
    """How a call ended."""

    #: What it used. Without it, what the response states; without that, what was reserved, marked as assumed.
    usage: Usage | None = None
    response: Any = None
    outcome: Outcome = "OK"
    model: str | None = None
    response_id: str | None = None
    error: str | None = None


class CallBase:
    """A call that may be made. Without a reservation, Apex could not be reached, and no hard budget may apply to it."""

    def __init__(self, settings: Settings, attributes: Attributes, usage: Usage, granted: Granted | None, sent: bool) -> None:
        self.attributes = attributes
        #: What was reserved: the most that the call may use.
        self.usage = usage if granted is None else granted.usage
        #: Whether less output was granted than asked for.
        self.partly = granted is not None and granted.partly
        #: What the call may cost at most, in US dollars; None if its model has no price.
        self.cost = None if granted is None else granted.cost
        self.expires_at = None if granted is None else granted.expires_at
        self.reservation_id = None if granted is None else granted.reservation_id
        self._settings = settings
        self._call_id = self.reservation_id or str(uuid4())
        self._sent = sent
        self._started_at = datetime.now(timezone.utc)
        self._started_s = time.monotonic()
        self._latency_ms: int | None = None
        self._is_ending = False

    @property
    def output_limit(self) -> int:
        """The limit of output tokens to send to the provider: what was granted."""
        return self.usage.output

    @property
    def is_reserved(self) -> bool:
        """Whether budgets hold room for the call."""
        return self.reservation_id is not None

    def _deadline(self) -> Deadline:
        return Deadline(self._settings.timeout_s)

    def _settle(self, ending: Ending, deadline: Deadline | None = None) -> Steps[Settled]:
        self._is_ending = True
        usage = usage_of(ending.response) if ending.usage is None else ending.usage
        response_id = ending.response_id or _id_of(ending.response)
        if self._latency_ms is None:
            # Measured once, so that settling again is the same command.
            self._latency_ms = int((time.monotonic() - self._started_s) * 1000)
        given = self.attributes.to_input() | {
            "commandId": str(uuid5(UUID(self._call_id), "settle")),
            # Every report of the call is one of the same call, whatever id the provider gave it.
            "id": self._call_id,
            "outcome": ending.outcome,
            "startedAt": self._started_at.isoformat(),
            "latencyMs": self._latency_ms,
            "usage": (self.usage if usage is None else usage).to_input(),
            "usageAssumed": usage is None,
        }
        more = {
            "reservation": self.reservation_id,
            "model": ending.model,
            "responseId": response_id,
            "error": ending.error,
        }
        given |= {name: value for name, value in more.items() if value is not None}
        limit = deadline or self._deadline()
        try:
            payload = yield from command("settle a call", REPORT, given, limit, self._settings.attempt_timeout_s)
        except Rejected as rejected:
            if rejected.code != "BAD_RESERVATION" or response_id is None or self.reservation_id is None:
                raise
            return (yield from self._release_repeated(rejected, limit))
        call = payload.get("call") or {}
        cost = call.get("cost")
        return Settled(call.get("id"), None if cost is None else Decimal(cost))

    def _release_repeated(self, rejected: Rejected, deadline: Deadline) -> Steps[Settled]:
        """Releases the reservation of a response that another one was settled by: the provider answered again, at no cost.

        If it is not held, that is not why it was rejected.
        """
        try:
            yield from reserving.release(str(self.reservation_id), deadline, self._settings.attempt_timeout_s)
        except Rejected:
            raise rejected from None
        return Settled(None, Decimal(0))

    def _release(self) -> Steps[None]:
        self._is_ending = True
        if self.reservation_id is not None:
            yield from reserving.release(self.reservation_id, self._deadline(), self._settings.attempt_timeout_s)

    def _extend(self, usage: Usage | None, expires_at: datetime | None, sent: bool) -> Steps[None]:
        if self.reservation_id is None:
            self._sent = self._sent or sent
            return
        given: dict[str, Any] = {"sent": sent}
        if usage is not None:
            given["usage"] = usage.to_input()
        if expires_at is not None:
            given["expiresAt"] = expires_at.isoformat()
        limits = (self._deadline(), self._settings.attempt_timeout_s)
        granted = yield from reserving.extend(self.reservation_id, given, *limits)
        self.usage, self.cost, self.expires_at = granted.usage, granted.cost, granted.expires_at
        self._sent = self._sent or sent

    def _leave(self, error: BaseException | None) -> Steps[None]:
        """Ends a call whose block ended: without effect if it was settled or released there.

        A call that was not sent is released. One that the provider refused cost nothing. Any other may have cost all that was reserved.
        """
        if self._is_ending:
            return
        failure = None if error is None else failure_of(error)
        if not self._sent or (failure is not None and failure.kind == "unsent"):
            yield from self._release()
            return
        # Only its type: a message may quote the prompt.
        name = None if error is None else type(error).__name__
        usage = Usage() if failure is not None and failure.kind == "answered" else None
        outcome: Outcome = "OK" if failure is None else failure.outcome
        if error is None:
            LOG.warning("the block of a call ended without settling it: it is charged what was reserved")
        yield from self._settle(Ending(usage=usage, outcome=outcome, error=name))


def _id_of(response: Any) -> str | None:
    found = response.get("id") if isinstance(response, dict) else getattr(response, "id", None)
    return found if isinstance(found, str) and found.strip() and len(found.encode()) <= 256 else None
