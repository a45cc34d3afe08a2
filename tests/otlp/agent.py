"""An agent with OpenTelemetry: calls models of a provider that runs here, and exports its spans.

Usage: agent.py EXPORTER ENDPOINT, where EXPORTER is http, json, gzip or grpc.
"""

import sys

import provider
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


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
    base = f"http://127.0.0.1:{provider.serve()}/{name}"
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
