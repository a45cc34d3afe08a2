import { NodeSDK } from "@opentelemetry/sdk-node";
import { OpenTelemetry } from "@ai-sdk/otel";
import { registerTelemetry } from "ai";

const sdk = new NodeSDK();
sdk.start();
registerTelemetry(new OpenTelemetry());
process.once("beforeExit", () => sdk.shutdown().catch(console.error));
