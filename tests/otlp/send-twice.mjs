// Sends each export twice, the second time in reverse order, as exporters do that did not see the response to the first.
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";

const SUCCESS = 0;

for (const { prototype } of [GrpcExporter, JsonExporter, ProtobufExporter]) {
  const { export: send } = prototype;
  prototype.export = function (spans, done) {
    send.call(this, spans, (result) => {
      if (result.code !== SUCCESS) return done(result);
      console.log(`sent again: ${spans.length} spans`);
      send.call(this, spans.toReversed(), done);
    });
  };
}
