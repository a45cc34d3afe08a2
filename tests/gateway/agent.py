"""Calls models by the SDKs of OpenAI and Anthropic, through a gateway.

Usage: agent.py calls URL KEY, agent.py refused URL KEY. It fails if a response is not that of the stub of a provider.
"""

import sys

import anthropic
import openai

WHAT, URL, KEY = sys.argv[1:]
# All that an agent changes.
OPENAI = openai.OpenAI(base_url=f"{URL}/gateway/openai/v1", api_key=KEY)
ANTHROPIC = anthropic.Anthropic(base_url=f"{URL}/gateway/anthropic", api_key=KEY)
HELLO = [{"role": "user", "content": "Weather?"}]
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}


def chats():
    chat = OPENAI.chat.completions.create(model="m", messages=HELLO)
    assert chat.choices[0].message.content == "Sunny." and chat.usage.completion_tokens == 40
    chunks = list(OPENAI.chat.completions.create(model="m", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Sunny.", chunks
    asked = {"include_usage": True}
    chunks = list(OPENAI.chat.completions.create(model="m", messages=HELLO, stream=True, stream_options=asked))
    assert chunks[-1].usage.completion_tokens == 40 and not chunks[-1].choices
    chat = OPENAI.chat.completions.create(model="m", messages=HELLO, tools=[FUNCTION])
    assert chat.choices[0].message.tool_calls[0].function.name == "weather"


def others():
    response = OPENAI.responses.create(model="m", input="Weather?")
    assert response.output_text == "Sunny."
    events = list(OPENAI.responses.create(model="m", input="Weather?", stream=True))
    assert events[-1].type == "response.completed" and events[-1].response.usage.output_tokens == 40
    embedded = OPENAI.embeddings.create(model="m", input="Weather?", encoding_format="float")
    assert embedded.data[0].embedding == [0.5, -0.25]


def messages():
    message = ANTHROPIC.messages.create(model="m", max_tokens=100, messages=HELLO, tools=[TOOL])
    assert message.content[0].name == "weather" and message.usage.output_tokens == 40
    with ANTHROPIC.messages.stream(model="m", max_tokens=100, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == "Sunny."
        assert stream.get_final_message().usage.output_tokens == 40
    assert ANTHROPIC.messages.count_tokens(model="m", messages=HELLO).input_tokens == 30


def errors():
    try:
        OPENAI.with_options(max_retries=0).chat.completions.create(model="m", messages=HELLO, user="status 429")
    except openai.RateLimitError as error:
        assert error.code == "stub_error", error.body
    else:
        raise AssertionError("no error of the provider")
    try:
        metadata = {"user_id": "status 400"}
        ANTHROPIC.messages.create(model="m", max_tokens=100, messages=HELLO, metadata=metadata)
    except anthropic.BadRequestError as error:
        assert error.body["error"]["type"] == "stub_error", error.body
    else:
        raise AssertionError("no error of the provider")


def refused():
    try:
        OPENAI.chat.completions.create(model="m", messages=HELLO)
    except openai.APIStatusError as error:
        assert error.status_code == 402 and error.code == "budget_exceeded", error.body
        assert error.body["budget"]["left"] == "0", error.body
    else:
        raise AssertionError("nothing was refused")
    try:
        ANTHROPIC.messages.create(model="m", max_tokens=100, messages=HELLO)
    except anthropic.APIStatusError as error:
        assert error.status_code == 402 and error.body["error"]["type"] == "billing_error", error.body
    else:
        raise AssertionError("nothing was refused")


if WHAT == "calls":
    chats()
    others()
    messages()
    errors()
else:
    refused()
