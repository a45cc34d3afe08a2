import OpenAI from "openai";
import { Apex, BudgetExceeded, inputBound } from "apex-client";

const apex = new Apex(); // APEX_URL, APEX_TOKEN
const client = new OpenAI({ maxRetries: 0 });
const messages = [{ role: "user", content: "What is the weather like?" }];

try {
  const usage = { input: inputBound(messages), output: 1000 };
  await apex.withBudget({ provider: "openai", model: "m", usage, minOutputTokens: 100 }, async (call) => {
    const response = await client.chat.completions.create({ model: "m", messages, max_tokens: call.outputLimit });
    const settled = await call.settle({ response });
    console.log(response.choices[0].message.content, settled.cost);
  });
} catch (error) {
  if (!(error instanceof BudgetExceeded)) throw error;
  console.log(`${error.left} left of ${error.budget} until ${error.renewsAt?.toISOString()}`);
}
