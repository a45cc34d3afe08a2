"""What is known of a call before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

#: The names of the attributes, as fields of GraphQL and as dimensions of budgets.
_NAMES = (
    ("agent", "agentId", "agent"),
    ("task", "taskId", "task"),
    ("dag", "dagId", "dag"),
    ("conversation", "conversation", "conversation"),
    ("user", "user", "user"),
    ("team", "team", "team"),
    ("key", "key", "key"),
    ("provider", "provider", "provider"),
    ("model", "model", "model"),
    ("tool", "tool", "tool"),
    ("service_tier", "serviceTier", None),
    ("speed", "speed", None),
    ("region", "region", None),
)
_IDS = frozenset({"agent", "task", "dag", "user", "team", "key"})


@dataclass(frozen=True)
class Attributes:
    """Whose call it is, and what is called. What the credential fixes cannot be stated otherwise: leave it out."""

    #: Required, unless a tool is called.
    model: str | None = None
    provider: str | None = None
    tool: str | None = None
    #: The global id or UUID of the agent; of the task and the task graph, too.
    agent: str | None = None
    task: str | None = None
    dag: str | None = None
    conversation: str | None = None
    #: By their UUID, if budgets select them.
    user: str | None = None
    team: str | None = None
    key: str | None = None
    service_tier: str | None = None
    speed: str | None = None
    region: str | None = None
    #: At most 16.
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_input(self) -> dict[str, Any]:
        """The fields of GraphQL that are stated."""
        stated = ((graphql, getattr(self, name)) for name, graphql, _ in _NAMES)
        given: dict[str, Any] = {graphql: value for graphql, value in stated if value is not None}
        if self.tags:
            given["tags"] = [{"key": key, "value": value} for key, value in self.tags.items()]
        return given

    def dimensions(self) -> Iterator[tuple[str, str]]:
        """The values by dimension, as budgets select calls by them. An id that is no UUID is left out."""
        for name, _, dimension in _NAMES:
            value = getattr(self, name)
            if dimension is None or value is None:
                continue
            if name in _IDS:
                try:
                    value = str(UUID(value))
                except ValueError:
                    continue
            yield dimension, value
        for key, value in self.tags.items():
            yield f"tag:{key}", value
