"""Reserving a call, and releasing a reservation, as steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4, uuid5

from .attributes import Attributes
from .errors import (
    BudgetExceeded,
    CheaperCall,
    Counting,
    FollowUp,
    NotHeld,
    Refused,
    Rejected,
    RequestedApproval,
    Undeclared,
    Unpriced,
)
from .protocol import EXTEND, RELEASE, RESERVE, Backoff, Deadline, Pause, Steps, command
from .usage import Usage


@dataclass(frozen=True)
class ReserveRequest:
    """What is reserved, under which id."""

    attributes: Attributes
    usage: Usage
    min_output_tokens: int | None
    command_id: UUID
    expires_at: datetime | None
    sent: bool
    #: Whether the caller chose the id, and may ask again under it: then the reservation is not released if its answer is lost.
    is_repeatable: bool

    @classmethod
    def create(
        cls,
        attributes: Attributes,
        usage: Usage,
        min_output_tokens: int | None,
        command_id: UUID | str | None,
        expires_at: datetime | None,
        sent: bool,
    ) -> ReserveRequest:
        """A request under a new id if none is given. Raises ValueError if the id is no UUID, or the time has no offset."""
        if expires_at is not None and expires_at.tzinfo is None:
            raise ValueError("`expires_at` needs a time zone")
        chosen = uuid4() if command_id is None else UUID(str(command_id))
        return cls(attributes, usage, min_output_tokens, chosen, expires_at, sent, command_id is not None)

    def to_input(self, command_id: UUID) -> dict[str, Any]:
        """The input of GraphQL. The reservation has the id of the command, so that it is known before it is answered."""
        given = self.attributes.to_input()
        given |= {"commandId": str(command_id), "uuid": str(command_id), "usage": self.usage.to_input(), "sent": self.sent}
        if self.min_output_tokens is not None:
            given["minOutputTokens"] = self.min_output_tokens
        if self.expires_at is not None:
            given["expiresAt"] = self.expires_at.isoformat()
        return given

    def attempt_id(self, number: int) -> UUID:
        """The id of an attempt: a budget that is being counted is asked again under another id, the same one in each process."""
        return self.command_id if number == 0 else uuid5(self.command_id, f"attempt {number}")


@dataclass(frozen=True)
class Granted:
    """A reservation that is held."""

    reservation_id: str
    partly: bool
    usage: Usage
    cost: Decimal | None
    expires_at: datetime
    #: The position of the log after it.
    position: str | None = None


class Progress:
    """The id under which a reservation was asked for last, for the case that the answer is lost."""

    def __init__(self, request: ReserveRequest) -> None:
        self.last_id = request.command_id


def reserve(request: ReserveRequest, progress: Progress, deadline: Deadline, attempt_s: float) -> Steps[Granted]:
    """Reserves a call.

    Raises Refused if a budget refuses, NotHeld if the reservation of this id was ended before, Rejected, RequestError and Unavailable.
    """
    backoff = Backoff()
    number = 0
    while True:
        progress.last_id = request.attempt_id(number)
        given = request.to_input(progress.last_id)
        payload = yield from command("reserve a call", RESERVE, given, deadline, attempt_s)
        found = payload["reservation"]
        if found["refusal"] is None:
            return _granted(found, payload["position"])
        refusal = refusal_of(found["refusal"], found["uuid"])
        pause_s = backoff.next_s()
        if not isinstance(refusal, Counting) or pause_s >= deadline.left_s:
            raise refusal
        yield Pause(pause_s)
        number += 1


def extend(reservation_id: str, given: Mapping[str, Any], deadline: Deadline, attempt_s: float) -> Steps[Granted]:
    """Changes a reservation that is held. Raises Refused if a budget has no room for it: the reservation stays as it is."""
    more = {"uuid": reservation_id, "commandId": str(uuid4()), **given}
    payload = yield from command("extend a reservation", EXTEND, more, deadline, attempt_s)
    if payload["refusal"] is not None:
        raise refusal_of(payload["refusal"], reservation_id)
    return _granted(payload["reservation"])


def release(reservation_id: str, deadline: Deadline, attempt_s: float) -> Steps[None]:
    """Releases a reservation whose call was not made."""
    yield from command("release a reservation", RELEASE, _release_input(reservation_id), deadline, attempt_s)


def release_if_made(reservation_id: str, deadline: Deadline, attempt_s: float) -> Steps[None]:
    """Releases a reservation that was asked for and not answered: it may be made yet, until the deadline."""
    backoff = Backoff()
    while True:
        try:
            yield from release(reservation_id, deadline, attempt_s)
            return
        except Rejected as rejected:
            pause_s = backoff.next_s()
            if rejected.code != "NOT_FOUND" or pause_s >= deadline.left_s:
                return
        yield Pause(pause_s)


def _release_input(reservation_id: str) -> dict[str, str]:
    return {"uuid": reservation_id, "commandId": str(uuid5(UUID(reservation_id), "release"))}


def refusal_of(refusal: Mapping[str, Any], reservation_id: str) -> Refused:
    """The error that a refusal is raised as."""
    reason, budget = refusal["reason"], refusal["budgetId"]
    renews_at = None if refusal["renewsAt"] is None else time_of(refusal["renewsAt"])
    if reason == "UNDECLARED":
        return Undeclared(budget, str(refusal["dimension"]), renews_at, reservation_id)
    if reason == "UNPRICED":
        return Unpriced(budget, renews_at, reservation_id)
    if reason == "COUNTING":
        return Counting(budget, renews_at, reservation_id)
    left = None if refusal["left"] is None else Decimal(refusal["left"])
    return BudgetExceeded(budget, left, renews_at, reservation_id, _follow_up_of(refusal))


def _follow_up_of(refusal: Mapping[str, Any]) -> FollowUp:
    degrade, approval = refusal["degrade"], refusal["approval"]
    return FollowUp(
        None if degrade is None else CheaperCall(degrade["model"], Decimal(degrade["amount"])),
        None if approval is None else RequestedApproval(approval["uuid"], time_of(approval["expiresAt"])),
        refusal["pausedAgentId"],
    )


def _granted(found: Mapping[str, Any], position: str | None = None) -> Granted:
    if found["status"] != "HELD":
        raise NotHeld(found["uuid"], found["status"])
    cost = None if found["cost"] is None else Decimal(found["cost"])
    usage = Usage.of_answer(found["usage"])
    return Granted(found["uuid"], found["partly"], usage, cost, time_of(found["expiresAt"]), position)


def time_of(text: str) -> datetime:
    """A time of GraphQL. Python 3.10 reads neither ``Z`` nor fractions of other than 3 or 6 digits."""
    text = text.replace("Z", "+00:00")
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest[: next((at for at, c in enumerate(rest) if not c.isdigit()), len(rest))]
        text = f"{head}.{digits[:6]:0<6}{rest[len(digits):]}"
    return datetime.fromisoformat(text)
