// Calls models by the SDKs of OpenAI and Anthropic, through a gateway: agent.mjs calls URL KEY, agent.mjs refused URL KEY. It fails
// if a response is not that of the stub of a provider.

import assert from "node:assert";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [what, url, key] = process.argv.slice(-3);
// All that an agent changes.
const openai = new OpenAI({ baseURL: `${url}/gateway/openai/v1`, apiKey: key });
const anthropic = new Anthropic({ baseURL: `${url}/gateway/anthropic`, apiKey: key });
const chat = { model: "m", messages: [{ role: "user", content: "Weather?" }] };
const message = { ...chat, max_tokens: 100 };

async function ofOpenAI() {
  const answered = await openai.chat.completions.create(chat);
  assert.equal(answered.choices[0].message.content, "Sunny.");
  let text = "";
  for await (const chunk of await openai.chat.completions.create({ ...chat, stream: true })) {
    text += chunk.choices[0].delta.content ?? "";
  }
  assert.equal(text, "Sunny.");
  let last;
  for await (const event of await openai.responses.create({ model: "m", input: "Weather?", stream: true })) {
    last = event;
  }
  assert.equal(last.type, "response.completed");
  const failing = openai.chat.completions.create({ ...chat, user: "status 400" });
  await assert.rejects(failing, (error) => error.status === 400 && error.code === "stub_error");
  // What was hung up ends the request.
  const open = await openai.chat.completions.create({ ...chat, stream: true, user: "hold stream" });
  for await (const _ of open) break;
  open.controller.abort();
}

async function ofAnthropic() {
  const tool = { name: "weather", input_schema: { type: "object", properties: {} } };
  const answered = await anthropic.messages.create({ ...message, tools: [tool] });
  assert.equal(answered.content[0].name, "weather");
  assert.equal(answered.usage.output_tokens, 40);
  const streamed = anthropic.messages.stream(message);
  assert.equal(await streamed.finalText(), "Sunny.");
  assert.equal((await streamed.finalMessage()).usage.output_tokens, 40);
  assert.equal((await anthropic.messages.countTokens(chat)).input_tokens, 30);
  const failing = anthropic.messages.create({ ...message, metadata: { user_id: "status 400" } });
  await assert.rejects(failing, (error) => error.status === 400 && error.error.error.type === "stub_error");
  const open = await anthropic.messages.create({ ...message, stream: true, metadata: { user_id: "hold stream" } });
  for await (const _ of open) break;
  open.controller.abort();
}

async function refused() {
  const isRefused = (error) => error.status === 402 && error.code === "budget_exceeded" && error.error.budget.left === "0";
  await assert.rejects(openai.chat.completions.create(chat), isRefused);
  const isBilling = (error) => error.status === 402 && error.error.error.type === "billing_error";
  await assert.rejects(anthropic.messages.create(message), isBilling);
}

if (what === "calls") {
  await ofOpenAI();
  await ofAnthropic();
} else {
  await refused();
}
