"""What goes wrong, each with a type of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


class ApexError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(ApexError):
    """The URL of Apex or another setting is missing or not valid."""


class RequestError(ApexError):
    """Apex does not execute the request as it is. Sending it again does not help.

    ``code`` is that of the error of GraphQL or of the rejected command, such as ``FORBIDDEN`` or ``BAD_USER_INPUT``.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(f"{code}: {message}" if field is None else f"{code}: {field}: {message}")
        self.code = code
        self.field = field


class Unauthenticated(RequestError):
    """The credential is missing, is not valid, or has ended."""


class Forbidden(RequestError):
    """The credential may not reserve or report calls: it needs ``command:calls`` and ``command:spending``."""


class Rejected(RequestError):
    """The command is rejected by a rule, such as ``ALREADY_RESERVED``, ``FIXED`` or ``COMMAND_ID_REUSED``."""


class NotHeld(ApexError):
    """The reservation of this id was ended before: ``status`` says how."""

    def __init__(self, reservation_id: str, status: str) -> None:
        super().__init__(f"the reservation {reservation_id} is {status}: reserve under another id")
        self.reservation_id = reservation_id
        self.status = status


class Unavailable(ApexError):
    """Apex did not answer in time, so that it is not known whether it executed the command.

    A reservation that is not answered is released in the background, unless the caller chose its id: then ask again under the id.
    """

    def __init__(self, what: str, reason: str, reservation_id: str | None = None) -> None:
        super().__init__(f"{what}: Apex did not answer in time, last: {reason}")
        self.reason = reason
        self.reservation_id = reservation_id


class Refused(ApexError):
    """A budget refuses the call: it must not be made.

    ``budget`` is the global id of the budget. Of several that refuse, it is the one that renews last.
    """

    def __init__(self, message: str, budget: str, renews_at: datetime | None, reservation_id: str) -> None:
        super().__init__(message)
        self.budget = budget
        self.renews_at = renews_at
        self.reservation_id = reservation_id


@dataclass(frozen=True)
class CheaperCall:
    """A call of a cheaper model, which would fit: reserve it. ``amount`` is what it may use at most, in the unit of the budget."""

    model: str
    amount: Decimal


@dataclass(frozen=True)
class RequestedApproval:
    """An operator is asked to raise the budget. Once that is granted, reserve again, under another id."""

    id: str
    expires_at: datetime


@dataclass(frozen=True)
class FollowUp:
    """What follows a refusal, by the policy of the budget: at most one of these."""

    degrade: CheaperCall | None = None
    approval: RequestedApproval | None = None
    #: The global id of the agent of the call, which is paused.
    paused_agent: str | None = None


class BudgetExceeded(Refused):
    """The call does not fit into what is left of a hard budget.

    ``degrade``, ``approval`` and ``paused_agent`` say what follows, as of FollowUp.
    """

    def __init__(
        self,
        budget: str,
        left: Decimal | None,
        renews_at: datetime | None,
        reservation_id: str,
        follow_up: FollowUp | None = None,
    ) -> None:
        renews = "" if renews_at is None else f"; it renews at {renews_at.isoformat()}"
        super().__init__(f"the budget {budget} has {left} left{renews}", budget, renews_at, reservation_id)
        follow_up = follow_up or FollowUp()
        self.left = left
        self.degrade = follow_up.degrade
        self.approval = follow_up.approval
        self.paused_agent = follow_up.paused_agent


class Undeclared(Refused):
    """A hard budget selects calls by a value that the call does not state: ``dimension`` names it, such as ``tag:project``."""

    def __init__(self, budget: str, dimension: str, renews_at: datetime | None, reservation_id: str) -> None:
        message = f"the budget {budget} needs to know the {dimension} of the call: state it"
        super().__init__(message, budget, renews_at, reservation_id)
        self.dimension = dimension


class Unpriced(Refused):
    """The model has no price, and a hard budget limits money."""

    def __init__(self, budget: str, renews_at: datetime | None, reservation_id: str) -> None:
        message = f"the model has no price, and the budget {budget} limits money: set its price"
        super().__init__(message, budget, renews_at, reservation_id)


class Counting(Refused):
    """What was charged before the budget was defined is not counted yet. It was tried again until the timeout."""

    def __init__(self, budget: str, renews_at: datetime | None, reservation_id: str) -> None:
        message = f"the budget {budget} is new, and is being counted: try again in a moment"
        super().__init__(message, budget, renews_at, reservation_id)


class NotSent(Exception):
    """Raise it in the block of a reservation if the call is not made: the reservation is released."""
