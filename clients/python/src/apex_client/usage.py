"""What a call uses: by meter, from the responses of providers, and at most."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

#: What providers add to a prompt, such as instructions for tools, in tokens.
ADDED_TOKENS = 1024


@dataclass(frozen=True)
class Usage:
    """The usage of a call by meter. ``input`` is without what the provider's cache read or wrote; parts are in their wholes."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5min: int = 0
    cache_write_1hour: int = 0
    #: Part of the output.
    reasoning: int = 0
    #: Part of the input.
    audio_input: int = 0
    #: Part of the output.
    audio_output: int = 0
    #: Part of the input.
    image_input: int = 0
    #: Part of the output.
    image_output: int = 0
    images: int = 0
    requests: int = 0
    searches: int = 0
    media_ms: int = 0
    characters: int = 0

    def to_input(self) -> dict[str, int]:
        """The fields of GraphQL, without those that are 0."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {_GRAPHQL[name]: value for name, value in values.items() if value}

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any]) -> Usage:
        """The usage in an answer of Apex."""
        return cls(**{name: int(answer.get(field) or 0) for name, field in _GRAPHQL.items()})


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    # The names of meters with a duration: cache_write_5min is cacheWrite5Min.
    return head + "".join(part[0].upper() + part[1:] if part[0].isalpha() else part[0] + part[1:].capitalize() for part in rest)


_GRAPHQL = {field.name: _camel(field.name) for field in fields(Usage)}


def input_bound(*contents: Any) -> int:
    """The most input tokens that texts may have: each takes a byte or more, and providers add up to 1,024 tokens.

    ``contents`` is what the request has: messages, tools, system prompt. Images, files and audio are not bounded by it, nor is content
    that is kept at the provider: reserve the longest prompt of the model for these.
    """
    return ADDED_TOKENS + sum(len(json.dumps(content, ensure_ascii=False, default=_plain).encode(errors="surrogatepass")) for content in contents)


def usage_of(response: Any) -> Usage | None:
    """The usage that a response of OpenAI, Anthropic or LiteLLM states, as an object of an SDK or as JSON; None if it states none."""
    whole = _plain(response)
    usage = whole.get("usage") if isinstance(whole, Mapping) else None
    if usage is None:
        return None
    usage = _plain(usage)
    is_beside = "prompt_tokens" not in usage and "input_tokens_details" not in usage
    return _anthropic(usage) if is_beside else _openai(usage)


def _anthropic(usage: Mapping[str, Any]) -> Usage:
    """Cached tokens are beside the input. What was written for a time that is not stated was written for five minutes."""
    divided = _part(usage, "cache_creation")
    one_hour = _count(divided, "ephemeral_1h_input_tokens")
    rest = max(_count(usage, "cache_creation_input_tokens") - one_hour, 0)
    return Usage(
        input=_count(usage, "input_tokens"),
        output=_count(usage, "output_tokens"),
        cache_read=_count(usage, "cache_read_input_tokens"),
        cache_write_5min=max(_count(divided, "ephemeral_5m_input_tokens"), rest),
        cache_write_1hour=one_hour,
        searches=_count(_part(usage, "server_tool_use"), "web_search_requests"),
    )


def _openai(usage: Mapping[str, Any]) -> Usage:
    """Cached tokens are inside the input; LiteLLM counts those of all providers so."""
    of_input = _part(usage, "prompt_tokens_details", "input_tokens_details")
    of_output = _part(usage, "completion_tokens_details", "output_tokens_details")
    whole = _count(usage, "prompt_tokens", "input_tokens")
    read = max(_count(of_input, "cached_tokens"), _count(usage, "cache_read_input_tokens"))
    written = _count(usage, "cache_creation_input_tokens")
    cached = read + written
    rest = whole - cached if cached <= whole else whole
    output = _count(usage, "completion_tokens", "output_tokens")
    reasoning, audio = _count(of_output, "reasoning_tokens"), _count(of_output, "audio_tokens")
    if reasoning + audio > output:
        # Parts that are more than the whole are beside it.
        output += reasoning + audio
    return Usage(
        input=rest,
        output=output,
        cache_read=read,
        cache_write_5min=written,
        reasoning=reasoning,
        audio_input=min(_count(of_input, "audio_tokens"), rest),
        audio_output=audio,
    )


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return max(value, 0)
    return 0


def _part(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = usage.get(name)
        if value is not None:
            plain = _plain(value)
            return plain if isinstance(plain, Mapping) else {}
    return {}


def _plain(value: Any) -> Any:
    """The JSON of an object of an SDK."""
    if isinstance(value, (Mapping, str, int, float, list, tuple, bool)) or value is None:
        return value
    for method in ("model_dump", "to_dict", "dict"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    return vars(value) if hasattr(value, "__dict__") else str(value)
