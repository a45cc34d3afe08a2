"""The budgets as they were last seen: what decides whether a call may pass while Apex cannot be reached."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .attributes import Attributes
from .errors import RequestError, Unavailable
from .protocol import BUDGETS, Deadline, Steps, execute

#: After how long the budgets are read again, with the next reservation.
REFRESH_S = 60.0
#: How long they are relied on.
RELIED_ON_S = 600.0
#: Pages of 500 budgets that are read. With more, no call passes.
MAX_PAGES = 10


class KnownBudgets:
    """The conditions of the budgets of the tenant that are closed while Apex cannot be reached, by dimension; none before they were read.

    Hard budgets are, and others that say so.
    """

    def __init__(self) -> None:
        self._closed: list[dict[str, str]] | None = None
        self._seen_at = 0.0

    def is_due(self) -> bool:
        """Whether they are to be read again."""
        return self._closed is None or time.monotonic() - self._seen_at > REFRESH_S

    def may_pass(self, attributes: Attributes) -> bool:
        """Whether no closed budget may apply to a call: each has a value that the call states otherwise.

        A budget on what the call does not state may apply: the credential may say it, or the call would be refused for it.
        """
        if self._closed is None or time.monotonic() - self._seen_at > RELIED_ON_S:
            return False
        stated = dict(attributes.dimensions())
        return all(_is_other(conditions, stated) for conditions in self._closed)

    def refresh(self, position: str | None, deadline: Deadline, attempt_s: float) -> Steps[None]:
        """Reads the budgets that were defined before a position. If that is not possible, or not allowed, what was seen before counts."""
        closed: list[dict[str, str]] = []
        after: str | None = None
        began = time.monotonic()
        try:
            for _ in range(MAX_PAGES):
                page = yield from execute("read budgets", BUDGETS, {"after": after, "position": position}, deadline, attempt_s)
                closed.extend(_conditions(node) for node in page["nodes"] if _is_closed(node))
                after = page["pageInfo"]["endCursor"]
                if not page["pageInfo"]["hasNextPage"]:
                    self._closed, self._seen_at = closed, began
                    return
        except (Unavailable, RequestError):
            return


def _is_closed(node: Mapping[str, Any]) -> bool:
    control = node.get("control")
    return not node["closed"] and control is not None and control["onUnreachable"] == "CLOSED"


def _conditions(node: Mapping[str, Any]) -> dict[str, str]:
    return {condition["dimension"]: condition["value"] for condition in node["control"]["conditions"]}


def _is_other(conditions: Mapping[str, str], stated: Mapping[str, str]) -> bool:
    return any(dimension in stated and stated[dimension] != value for dimension, value in conditions.items())
