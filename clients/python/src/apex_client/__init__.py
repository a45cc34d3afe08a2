"""Reserves and settles calls to models within the budgets of Apex: see README.md."""

from .aio import AsyncApex, AsyncCall
from .call import Outcome, Settled
from .client import Apex, Call
from .errors import (
    ApexError,
    BudgetExceeded,
    CheaperCall,
    ConfigurationError,
    Counting,
    FollowUp,
    Forbidden,
    NotHeld,
    NotSent,
    Refused,
    Rejected,
    RequestedApproval,
    RequestError,
    Unauthenticated,
    Unavailable,
    Undeclared,
    Unpriced,
)
from .usage import Usage, input_bound, usage_of

__all__ = [
    "Apex",
    "ApexError",
    "AsyncApex",
    "AsyncCall",
    "BudgetExceeded",
    "Call",
    "CheaperCall",
    "ConfigurationError",
    "Counting",
    "FollowUp",
    "Forbidden",
    "NotHeld",
    "NotSent",
    "Outcome",
    "Refused",
    "Rejected",
    "RequestError",
    "RequestedApproval",
    "Settled",
    "Unauthenticated",
    "Unavailable",
    "Undeclared",
    "Unpriced",
    "Usage",
    "input_bound",
    "usage_of",
]
