import { NodeSDK } from "@opentelemetry/sdk-node";
import { OpenAIInstrumentation } from "@traceloop/instrumentation-openai";
import OpenAI from "openai";

const sdk = new NodeSDK();
sdk.start();
new OpenAIInstrumentation().manuallyInstrument(OpenAI);
process.once("beforeExit", () => sdk.shutdown().catch(console.error));
