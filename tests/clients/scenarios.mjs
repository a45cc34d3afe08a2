// What a client does, with the package of `clients/typescript`: scenarios.mjs SCENARIO ARGUMENTS, the arguments as JSON.
//
// Writes a line of JSON with what it saw. Where it has to wait, it writes one before, and waits for a line. `scenarios.py` does the same.

import { createInterface } from "node:readline";
import { Apex, ApexError, NotHeld, NotSent, Refused, Rejected, Unavailable, inputBound, usageOf } from "../../clients/typescript/src/index.mjs";

const MILLION = 1_000_000;
// On a busy machine, too.
const LIMITS = { timeoutMs: 100_000, attemptTimeoutMs: 100_000 };
const lines = createInterface({ input: process.stdin });

const say = (seen) => console.log(JSON.stringify(seen));

async function wait(seen) {
  const line = new Promise((resolve) => lines.once("line", resolve).once("close", resolve));
  say(seen);
  await line;
}

function request({ tags = {} }, more = {}) {
  return { provider: "p", model: "m", usage: { output: MILLION }, tags, ...more };
}

async function refusal(apex, given, more = {}) {
  try {
    await apex.reserve({ ...request(given, { usage: { output: 100 * MILLION } }), ...more });
  } catch (error) {
    if (error instanceof Refused) {
      const { name, budget, left = null, dimension = null, renewsAt } = error;
      return { name, budget, left, dimension, renewsAt: renewsAt === null ? null : renewsAt.getTime() / 1000 };
    }
    throw error;
  }
  throw new Error("nothing was refused");
}

const scenarios = {
  async granted(given) {
    const usage = { input: 1000, output: MILLION };
    await new Apex(LIMITS).withBudget(request(given, { usage }), async (call) => {
      const { cost: settled, callId } = await call.settle({ usage: { output: MILLION / 2 } });
      say({ partly: call.partly, outputLimit: call.outputLimit, cost: call.cost, settled, callId });
    });
  },

  async partly(given) {
    const call = await new Apex(LIMITS).reserve(request(given, { usage: { output: 10 * MILLION }, minOutputTokens: 1 }));
    const seen = { partly: call.partly, outputLimit: call.outputLimit };
    await call.extend({ usage: { output: 10 * MILLION } }).catch((error) => {
      seen.extended = error.name;
    });
    await call.release();
    say(seen);
  },

  async refusals(given) {
    const apex = new Apex(LIMITS);
    say({
      exceeded: await refusal(apex, given),
      undeclared: await refusal(apex, given, { tags: {} }),
      unpriced: await refusal(apex, given, { model: "without a price" }),
    });
  },

  async followed_up(given) {
    const apex = new Apex(LIMITS);
    const seen = {};
    for (const model of given.models) {
      const more = { usage: { output: 100 * MILLION }, model, agent: given.agent };
      seen[model] = await apex.reserve(request(given, more)).then(
        (call) => call.release().then(() => "granted"),
        ({ degrade, approval, pausedAgent }) => ({
          degrade: degrade && [degrade.model, degrade.amount],
          approval: approval && [approval.id, Math.floor(approval.expiresAt.getTime() / 1000)],
          pausedAgent,
        }),
      );
    }
    say(seen);
  },

  async retries(given) {
    const apex = new Apex(LIMITS);
    const { commandId } = given;
    const call = await apex.reserve(request(given, { commandId }));
    const settled = await call.settle({ usage: { output: MILLION / 2 } });
    await apex.reserve(request(given, { commandId })).catch((error) => {
      if (error instanceof NotHeld) {
        say({ reservation: call.reservationId, settled: settled.cost, again: error.status });
      }
    });
  },

  async settle_twice(given) {
    const apex = new Apex(LIMITS);
    const call = await apex.reserve(request(given));
    const costs = [];
    for (let number = 0; number < 2; number += 1) {
      costs.push((await call.settle({ usage: { output: MILLION / 2 } })).cost);
    }
    const code = await call.settle({ usage: { output: MILLION } }).catch((error) => error instanceof Rejected && error.code);
    // A provider that is asked again by the same idempotency key repeats its response.
    const response = { id: given.responseId, usage: { prompt_tokens: 0, completion_tokens: MILLION / 2 } };
    const repeated = [];
    for (let number = 0; number < 2; number += 1) {
      repeated.push((await (await apex.reserve(request(given))).settle({ response })).cost);
    }
    say({ costs, code, repeated });
  },

  async held(given) {
    const { reservationId } = await new Apex(LIMITS).reserve(request(given, { commandId: given.commandId }));
    await wait({ reservation: reservationId });
  },

  async resumed(given) {
    await new Apex(LIMITS).withBudget(request(given, { commandId: given.commandId }), async (call) => {
      const { cost } = await call.settle({ usage: { output: MILLION / 2 } });
      say({ reservation: call.reservationId, settled: cost });
    });
  },

  async race(given) {
    const client = async () => {
      let call;
      try {
        call = await new Apex(LIMITS).reserve(request(given));
      } catch (error) {
        if (error instanceof Refused) {
          return false;
        }
        throw error;
      }
      await call.settle({ usage: { output: MILLION } });
      return true;
    };
    await wait({ ready: true });
    const won = await Promise.all(Array.from({ length: given.clients }, client));
    const granted = won.filter(Boolean).length;
    say({ granted, refused: won.length - granted });
  },

  async cancelled(given) {
    const apex = new Apex(LIMITS);
    const controller = new AbortController();
    const entered = [];
    const calls = Array.from({ length: given.calls }, () => {
      const { promise, resolve } = deferred();
      entered.push(promise);
      return apex.withBudget(request(given, { usage: { output: 1000 } }), () => {
        resolve();
        return new Promise((_, reject) => {
          controller.signal.addEventListener("abort", () => reject(controller.signal.reason));
        });
      });
    });
    await Promise.all(entered);
    controller.abort();
    const ended = await Promise.allSettled(calls);
    say({ cancelled: ended.filter(({ reason }) => reason?.name === "AbortError").length });
  },

  async cancelled_while_reserving(given) {
    const apex = new Apex(LIMITS);
    const controller = new AbortController();
    const reserving = apex.reserve(request(given, { signal: controller.signal })).catch((error) => error);
    await wait({ asking: true });
    controller.abort();
    await wait({ cancelled: (await reserving)?.name === "AbortError" });
    await apex.close();
    say({ closed: true });
  },

  async failures(given) {
    const call = (url, user) => async () => {
      const body = JSON.stringify({ model: "m", user, messages: [] });
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
      if (!response.ok) {
        throw Object.assign(new Error("the provider refused"), { status: response.status });
      }
    };
    const kinds = {
      answered: call(given.provider, "status 500"),
      broken: call(given.provider, "break"),
      refused: call(given.closed, "ok"),
      unsent: async () => {
        throw new NotSent("the prompt was empty");
      },
      unsettled: async () => undefined,
    };
    const apex = new Apex(LIMITS);
    const raised = {};
    const tagged = (kind, more = {}) => request({ tags: { ...given.tags, kind } }, { usage: { output: 1000 }, ...more });
    for (const [kind, make] of Object.entries(kinds)) {
      raised[kind] = await apex.withBudget(tagged(kind), make).then(
        () => false,
        () => true,
      );
    }
    // It is not sent until it says so.
    await apex.withBudget(tagged("unmarked", { sent: false }), async () => undefined);
    await apex.withBudget(tagged("marked", { sent: false }), (call) => call.markSent());
    say({ raised: { ...raised, unmarked: false, marked: false } });
  },

  async unavailable(given) {
    const limits = { timeoutMs: 5_000, releaseTimeoutMs: 100_000, reportTimeoutMs: 100_000 };
    const apex = new Apex({ ...limits, failOpen: given.failOpen });
    await (await apex.reserve(request(given))).settle({ usage: { output: 1 } });
    await wait({ ready: true });
    let call;
    try {
      call = await apex.reserve(request(given));
    } catch (error) {
      if (!(error instanceof Unavailable)) {
        throw error;
      }
      await wait({ passed: false });
      say({ reported: null });
      return;
    }
    await call.settle({ usage: { output: MILLION / 2 } });
    await wait({ passed: !call.isReserved });
    await apex.close(100_000);
    say({ reported: true });
  },

  async usages(given) {
    const stated = ([, value]) => value !== 0;
    const found = given.responses.map((response) => usageOf(response));
    const usages = found.map((usage) => usage && Object.fromEntries(Object.entries(usage).filter(stated)));
    say({ usages, bound: inputBound([{ role: "user", content: "Grüße" }]) });
  },

  async errors(given) {
    const codeOf = async (reserve) => {
      try {
        await reserve();
      } catch (error) {
        return error instanceof ApexError ? `${error.name} ${error.code ?? ""}`.trim() : null;
      }
      return null;
    };
    const [apex, stranger] = [new Apex(LIMITS), new Apex({ token: "apex_none", ...LIMITS })];
    say({
      unauthenticated: await codeOf(() => stranger.reserve(request(given))),
      fixed: await codeOf(() => apex.reserve(request(given, { key: "01900000-0000-7000-8000-000000000000" }))),
      badMinimum: await codeOf(() => apex.reserve(request(given, { usage: { output: 10 }, minOutputTokens: 11 }))),
      insecure: await codeOf(() => new Apex({ url: "http://192.0.2.1" })),
    });
  },
};

function deferred() {
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const [, , scenario, given] = process.argv;
await scenarios[scenario](JSON.parse(given));
lines.close();
process.exit(0);
