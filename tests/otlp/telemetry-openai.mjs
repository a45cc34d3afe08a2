import { NodeSDK } from "@opentelemetry/sdk-node";
import { OpenAIInstrumentation } from "@arizeai/openinference-instrumentation-openai";
import OpenAI from "openai";

const sdk = new NodeSDK();
sdk.start();
new OpenAIInstrumentation().manuallyInstrument(OpenAI);
process.once("beforeExit", () => sdk.shutdown().catch(console.error));
