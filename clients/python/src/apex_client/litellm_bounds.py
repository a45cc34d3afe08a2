"""What a request of LiteLLM may use at most, and where its output limit is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .usage import Usage, input_bound

#: Kinds of calls that are reserved, with the fields of their output limits. None are sent for embeddings, which generate nothing.
OUTPUT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "acompletion": ("max_completion_tokens", "max_tokens"),
    "atext_completion": ("max_tokens",),
    "aresponses": ("max_output_tokens",),
    "anthropic_messages": ("max_tokens",),
    "aembedding": (),
}
#: The parts of a request that become a part of the prompt.
_PROMPT = ("messages", "input", "prompt", "system", "instructions", "tools", "functions", "response_format", "text_format")
_TEXT = frozenset({"text", "input_text", "output_text", "refusal", "tool_result", "tool_use", "thinking", "function", "message"})
#: Fields that name content which is kept at the provider.
_REFERENCES = ("previous_response_id", "conversation")
MAX_DEPTH = 8


@dataclass(frozen=True)
class Bounds:
    """What is assumed of requests that do not say it."""

    #: The output limit that a request gets which has none.
    output_tokens: int = 4096
    #: The longest prompt of a model, for content that is not bounded by its bytes.
    max_input_tokens: int = 1_048_576

    def usage_of(self, kind: str, request: Mapping[str, Any]) -> Usage:
        """The most that a request may use."""
        bound = input_bound({name: request[name] for name in _PROMPT if request.get(name) is not None})
        if any(request.get(name) for name in _REFERENCES) or not all(_is_text(request.get(name)) for name in _PROMPT):
            bound = self.max_input_tokens
        choices = request.get("n")
        number = choices if isinstance(choices, int) and choices > 0 else 1
        return Usage(input=min(bound, self.max_input_tokens), output=self._output(kind, request) * number)

    def _output(self, kind: str, request: Mapping[str, Any]) -> int:
        names = OUTPUT_FIELDS[kind]
        stated = [request[name] for name in names if isinstance(request.get(name), int)]
        return max(stated) if stated else (self.output_tokens if names else 0)


def with_limit(kind: str, request: dict[str, Any], output: int) -> None:
    """Sets the output limit of a request to what was granted, for each of its choices."""
    names = OUTPUT_FIELDS[kind]
    if not names:
        return
    choices = request.get("n")
    limit = output // choices if isinstance(choices, int) and choices > 1 else output
    stated = [name for name in names if request.get(name) is not None]
    # LiteLLM sends `max_tokens` of a chat under the name that the provider takes.
    for name in stated or [names[-1]]:
        request[name] = limit


def _is_text(content: Any, depth: int = 0) -> bool:
    """Whether all parts of a content are text, so that its bytes bound its tokens."""
    if content is None or isinstance(content, (str, int, float, bool)):
        return True
    if depth > MAX_DEPTH:
        return False
    if isinstance(content, Mapping):
        kind = content.get("type")
        nested = [content.get(name) for name in ("content", "output")]
        return (kind is None or kind in _TEXT) and all(_is_text(part, depth + 1) for part in nested)
    if isinstance(content, (list, tuple)):
        return all(_is_text(part, depth + 1) for part in content)
    # An object, such as a class that describes the response.
    return isinstance(content, type)
