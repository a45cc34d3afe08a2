"""A stub of providers of models: chats and responses of OpenAI, plain and streamed, and messages of Anthropic.

Usage: provider.py prints its port, and serves until its standard input ends. The first part of a path, as in
`/RUN/v1/chat/completions`, names a run of an agent. `GET /usage` is what the responses so far stated, by run and model: the
truth that reports of Apex are compared with.
"""

import http.server
import json
import sys
import threading
import uuid

TEXT = "Sunny, 21 C."
# As at OpenAI, the name of a model stands for the newest version of it.
MODELS = {"gpt-5-mini": "gpt-5-mini-2025-08-07", "gpt-4.1": "gpt-4.1-2025-04-14"}
COUNTS = ("calls", "input", "cached", "written", "output", "reasoning")


class Provider(http.server.BaseHTTPRequestHandler):
    """The usage is fixed, but no two kinds of a request have the same."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    used = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        with self.lock:
            self.respond(self.used)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        request["model"] = MODELS.get(request["model"], request["model"])
        if self.path.endswith("/messages"):
            self.respond(self.message(request))
        elif self.path.endswith("/responses"):
            self.response(request)
        elif request.get("stream"):
            self.streamed_chat(request)
        else:
            self.plain_chat(request)

    def respond(self, body):
        self.send(json.dumps(body).encode(), "application/json")

    def respond_with_events(self, events):
        lines = [f"event: {event['type']}\n" if "type" in event else "" for event in events]
        text = "".join(f"{line}data: {json.dumps(event)}\n\n" for line, event in zip(lines, events))
        self.send((text + "data: [DONE]\n\n").encode(), "text/event-stream")

    def send(self, body, content_type):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def count(self, model, **counts):
        """Adds to the truth. The input is what was neither read from the cache nor written to it."""
        with self.lock:
            run = self.used.setdefault(self.path.split("/")[1], {})
            used = run.setdefault(model, dict.fromkeys(COUNTS, 0))
            used["calls"] += 1
            for name, count in counts.items():
                used[name] += count

    def chat_usage(self, model, prompt, cached, output, reasoning):
        self.count(model, input=prompt - cached, cached=cached, output=output, reasoning=reasoning)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }

    def chat(self, request, kind, **more):
        chat = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": 1700000000, "model": request["model"]}
        return chat | more

    def plain_chat(self, request):
        choice = {"index": 0, "finish_reason": "stop", "logprobs": None}
        if request.get("tools") and request["messages"][-1]["role"] != "tool":
            usage = self.chat_usage(request["model"], 700, 0, 41, 0)
            name = request["tools"][0]["function"]["name"]
            call = {"id": f"call_{uuid.uuid4().hex}", "type": "function"}
            call["function"] = {"name": name, "arguments": json.dumps({"city": "Paris"})}
            choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
            choice["finish_reason"] = "tool_calls"
        else:
            usage = self.chat_usage(request["model"], 1200, 1024, 340, 128)
            choice["message"] = {"role": "assistant", "content": TEXT}
        self.respond(self.chat(request, "chat.completion", usage=usage, choices=[choice]))

    def streamed_chat(self, request):
        chunk = self.chat(request, "chat.completion.chunk")
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in TEXT.split(" ")), {}]
        choices = [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"} for delta in deltas]
        chunks = [chunk | {"choices": [choice], "usage": None} for choice in choices]
        usage = self.chat_usage(request["model"], 2300, 1536, 77, 32)
        # As OpenAI: only who asks for the usage of a stream gets it.
        if request.get("stream_options", {}).get("include_usage"):
            chunks.append(chunk | {"choices": [], "usage": usage})
        self.respond_with_events(chunks)

    def response(self, request):
        is_streamed = bool(request.get("stream"))
        prompt, cached, output, reasoning = (910, 640, 53, 16) if is_streamed else (450, 256, 210, 64)
        self.count(request["model"], input=prompt - cached, cached=cached, output=output, reasoning=reasoning)
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": prompt + output,
        }
        part = {"type": "output_text", "text": TEXT, "annotations": []}
        item = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "status": "completed"}
        response = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": 1700000000,
            "model": request["model"],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "tools": [],
        }
        begun = response | {"status": "in_progress", "output": [], "usage": None}
        completed = response | {"status": "completed", "output": [item | {"content": [part]}], "usage": usage}
        if not is_streamed:
            self.respond(completed)
            return
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        events = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
            {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
            {"type": "response.output_text.delta", **place, "delta": TEXT, "logprobs": []},
            {"type": "response.output_text.done", **place, "text": TEXT, "logprobs": []},
            {"type": "response.content_part.done", **place, "part": part},
            {"type": "response.output_item.done", "output_index": 0, "item": item | {"content": [part]}},
            {"type": "response.completed", "response": completed},
        ]
        self.respond_with_events([event | {"sequence_number": at} for at, event in enumerate(events)])

    def message(self, request):
        self.count(request["model"], input=176, cached=1024, written=512, output=340)
        usage = {
            "input_tokens": 176,
            "cache_creation_input_tokens": 512,
            "cache_read_input_tokens": 1024,
            "output_tokens": 340,
        }
        return {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }


def serve():
    """Starts the provider in a thread, and returns its port."""
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    return provider.server_address[1]


if __name__ == "__main__":
    print(serve(), flush=True)
    sys.stdin.read()
