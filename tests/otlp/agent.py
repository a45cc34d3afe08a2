"""An agent with OpenTelemetry: calls models of a provider that runs here, and exports its spans.

Usage: agent.py EXPORTER ENDPOINT, where EXPORTER is http, json, gzip or grpc.
"""

import http.server
import json
import sys
import threading
import uuid

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


class Provider(http.server.BaseHTTPRequestHandler):
    """Chats of OpenAI and messages of Anthropic, with fixed usage."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = self.message(request) if self.path.endswith("/messages") else self.chat(request)
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chat(self, request):
        usage = {
            "prompt_tokens": 1200,
            "completion_tokens": 340,
            "total_tokens": 1540,
            "prompt_tokens_details": {"cached_tokens": 1024},
            "completion_tokens_details": {"reasoning_tokens": 128},
        }
        message = {"role": "assistant", "content": "Sunny, 21 C."}
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": 1700000000,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": usage,
        }

    def message(self, request):
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
            "content": [{"type": "text", "text": "Sunny, 21 C."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }


def exporter(name, endpoint):
    if name == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint, insecure=True)
    if name == "json":
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint + "/v1/traces")
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    compression = Compression.Gzip if name == "gzip" else Compression.NoCompression
    return OTLPSpanExporter(endpoint=endpoint + "/v1/traces", compression=compression)


def main(name, endpoint):
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{provider.server_address[1]}"
    tracing = TracerProvider(resource=Resource.create({"service.name": f"agent-{name}"}))
    tracing.add_span_processor(BatchSpanProcessor(exporter(name, endpoint)))
    trace.set_tracer_provider(tracing)

    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument()
    import anthropic
    import openai

    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": f"weather-{name}"}
    with trace.get_tracer("agent").start_as_current_span("invoke_agent", attributes=agent):
        client = openai.OpenAI(api_key="none", base_url=base + "/v1")
        for _ in range(2):
            client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "hi"}])
        claude = anthropic.Anthropic(api_key="none", base_url=base)
        messages = [{"role": "user", "content": "hi"}]
        claude.messages.create(model="claude-sonnet-4-5", max_tokens=100, messages=messages)
    tracing.shutdown()


main(sys.argv[1], sys.argv[2])
