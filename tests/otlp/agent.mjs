// An agent that calls models of the provider at OPENAI_BASE_URL. What it exports is set up by another module: node --import.
//
// Usage: agent.mjs LIBRARY CALL..., where LIBRARY is openai, or ai or ai-6, which are versions of Vercel's AI SDK, and a
// CALL is chat, streamed-chat, responses, streamed-responses or tool, a chat in which the model asks for a tool.

const [, , library, ...calls] = process.argv;
const PROMPT = "How is the weather in Paris?";
const CHAT_MODEL = "gpt-5-mini";
const RESPONSES_MODEL = "gpt-4.1";

async function drain(stream) {
  for await (const _ of stream);
}

async function ofOpenAI() {
  const { default: OpenAI } = await import("openai");
  const client = new OpenAI();
  const chat = { model: CHAT_MODEL, messages: [{ role: "user", content: PROMPT }] };
  const response = { model: RESPONSES_MODEL, input: PROMPT };
  const withUsage = { stream: true, stream_options: { include_usage: true } };
  return {
    chat: () => client.chat.completions.create(chat),
    "streamed-chat": async () => drain(await client.chat.completions.create({ ...chat, ...withUsage })),
    responses: () => client.responses.create(response),
    "streamed-responses": async () => drain(await client.responses.create({ ...response, stream: true })),
  };
}

function ofAiSdk({ generateText, streamText, tool, stepCountIs }, openai, z, settings) {
  const chat = { ...settings, model: openai.chat(CHAT_MODEL), prompt: PROMPT };
  const response = { ...settings, model: openai(RESPONSES_MODEL), prompt: PROMPT };
  const inputSchema = z.object({ city: z.string() });
  const weather = tool({ description: "The weather in a city", inputSchema, execute: async () => "21 C" });
  return {
    chat: () => generateText(chat),
    "streamed-chat": () => drain(streamText(chat).textStream),
    responses: () => generateText(response),
    "streamed-responses": () => drain(streamText(response).textStream),
    tool: () => generateText({ ...chat, tools: { weather }, stopWhen: stepCountIs(3) }),
  };
}

const LIBRARIES = {
  openai: ofOpenAI,
  ai: async () => {
    const [sdk, { openai }, { z }] = await Promise.all([import("ai"), import("@ai-sdk/openai"), import("zod")]);
    return ofAiSdk(sdk, openai, z, {});
  },
  "ai-6": async () => {
    const [sdk, { openai }, { z }] = await Promise.all([import("ai-6"), import("@ai-sdk/openai-6"), import("zod")]);
    return ofAiSdk(sdk, openai, z, { experimental_telemetry: { isEnabled: true } });
  },
};

const known = await LIBRARIES[library]();
for (const call of calls) await known[call]();
