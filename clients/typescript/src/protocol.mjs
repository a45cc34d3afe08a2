/** What is sent to Apex, again until it is answered, and what its answers mean. */

import { Forbidden, Rejected, RequestError, Unauthenticated, Unavailable } from "./errors.mjs";

/** @import { CheckedSettings } from "./settings.mjs" */

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2_000;
const MAX_REPLY_BYTES = 8 * 1024 * 1024;

/** Errors of GraphQL after which the same request is sent again. */
const RETRIED_CODES = new Set(["BUSY", "CONTENDED", "INDETERMINATE", "LATE", "RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"]);
const RETRIED_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

const RESERVATION = `reservation { uuid status partly cost expiresAt
  usage { input output cacheRead cacheWrite5Min cacheWrite1Hour reasoning audioInput audioOutput imageInput imageOutput
          images requests searches mediaMs characters }
  refusal { reason budgetId dimension left renewsAt degrade { model amount } approval { uuid expiresAt } pausedAgentId } }`;

export const RESERVE = `mutation ($input: ReserveSpendInput!) { result: reserveSpend(input: $input) {
  position error { code message field } ${RESERVATION} } }`;
export const EXTEND = `mutation ($input: ExtendReservationInput!) { result: extendReservation(input: $input) {
  error { code message field } refusal { reason budgetId dimension left renewsAt degrade { model amount } approval { uuid expiresAt } pausedAgentId } ${RESERVATION} } }`;
export const RELEASE = `mutation ($input: ReleaseReservationInput!) { result: releaseReservation(input: $input) {
  error { code message field } } }`;
export const REPORT = `mutation ($input: ReportCallInput!) { result: reportCall(input: $input) {
  error { code message field } call { id cost } } }`;
export const BUDGETS = `query ($after: String, $position: Position) { result: budgets(first: 500, after: $after, minPosition: $position) {
  nodes { closed control { onUnreachable conditions { dimension value } } } pageInfo { hasNextPage endCursor } } }`;

/** The time until which an operation may be tried. */
export class Deadline {
  #end;

  /** @param {number} timeoutMs */
  constructor(timeoutMs) {
    this.#end = performance.now() + timeoutMs;
  }

  get leftMs() {
    return this.#end - performance.now();
  }
}

/** Pauses that grow, by half at random, so that clients do not return at the same moment. */
export class Backoff {
  #boundMs = FIRST_PAUSE_MS;

  /** @param {number} [atLeastMs] @returns {number} */
  nextMs(atLeastMs = 0) {
    const pause = this.#boundMs * (0.5 + Math.random() / 2);
    this.#boundMs = Math.min(2 * this.#boundMs, MAX_PAUSE_MS);
    return Math.max(pause, atLeastMs);
  }
}

/**
 * Waits, unless a signal is aborted.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** @typedef {{ retry: string, afterMs: number }} Retry */

/**
 * Sends a request until the server answers it: each attempt is the same to the byte, so that it has one effect.
 *
 * @param {CheckedSettings} settings
 * @param {string} what
 * @param {string} document
 * @param {Record<string, unknown>} variables
 * @param {Deadline} deadline
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>} The result of the operation.
 * @throws {Unavailable} At the deadline.
 * @throws {RequestError} If it is of no use to try again.
 */
export async function execute(settings, what, document, variables, deadline, signal) {
  const body = JSON.stringify({ query: document, variables });
  const backoff = new Backoff();
  let reason = "no attempt was made";
  for (let leftMs = deadline.leftMs; leftMs > 0; leftMs = deadline.leftMs) {
    signal?.throwIfAborted();
    const judged = await attempt(settings, body, Math.min(leftMs, settings.attemptTimeoutMs), signal);
    if (!("retry" in judged)) {
      return judged.result;
    }
    reason = judged.retry;
    const pauseMs = backoff.nextMs(judged.afterMs);
    if (pauseMs >= deadline.leftMs) {
      break;
    }
    await pause(pauseMs, signal);
  }
  throw new Unavailable(what, reason);
}

/**
 * Executes a mutation with an input.
 *
 * @param {CheckedSettings} settings
 * @param {string} what
 * @param {string} document
 * @param {Record<string, unknown>} input
 * @param {Deadline} deadline
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 * @throws {Rejected} If a rule rejects it.
 */
export async function command(settings, what, document, input, deadline, signal) {
  const payload = await execute(settings, what, document, { input }, deadline, signal);
  if (payload.error && !payload.refusal) {
    throw new Rejected(payload.error.code, payload.error.message, payload.error.field);
  }
  return payload;
}

/**
 * @param {CheckedSettings} settings
 * @param {string} body
 * @param {number} timeoutMs
 * @param {AbortSignal} [signal]
 * @returns {Promise<Retry | { result: any }>}
 */
async function attempt(settings, body, timeoutMs, signal) {
  const timeout = AbortSignal.timeout(Math.ceil(timeoutMs));
  let status, text, afterMs;
  try {
    const response = await settings.fetch(settings.endpoint, {
      method: "POST",
      headers: settings.headers,
      body,
      // A credential is not sent elsewhere.
      redirect: "manual",
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    status = response.status;
    afterMs = Number(response.headers.get("retry-after") ?? "") * 1000 || 0;
    text = await read(response);
  } catch (error) {
    signal?.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    return { retry: `${error instanceof Error ? error.message : String(error)}${cause}`, afterMs: 0 };
  }
  return judge(status, text, afterMs);
}

/** @param {Response} response @returns {Promise<string>} */
async function read(response) {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES) {
      throw new Error("the response is too large");
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** @param {number} status @param {string} text @param {number} afterMs @returns {Retry | { result: any }} */
function judge(status, text, afterMs) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null;
  }
  const error = (answer?.errors ?? []).find((/** @type {any} */ found) => !isOfUnreadCall(found));
  if (error) {
    const code = String(error.extensions?.code ?? `HTTP_${status}`);
    const message = String(error.message ?? "");
    if (RETRIED_CODES.has(code) || (RETRIED_STATUSES.has(status) && code !== "INTERNAL")) {
      return { retry: `${code}: ${message}`, afterMs: Math.max(afterMs, Number(error.extensions?.retryAfterMs ?? 0)) };
    }
    if (code === "UNAUTHENTICATED") {
      throw new Unauthenticated(code, message);
    }
    throw code === "FORBIDDEN" ? new Forbidden(code, message) : new RequestError(code, message);
  }
  if (RETRIED_STATUSES.has(status)) {
    return { retry: `status ${status}`, afterMs };
  }
  if (status !== 200 || answer === null) {
    throw new RequestError(`HTTP_${status}`, "the server answers, but not as Apex does: check the URL");
  }
  const result = answer.data?.result;
  if (result === undefined || result === null) {
    throw new RequestError("NO_RESULT", "the server answers without a result");
  }
  return { result };
}

/**
 * The UUID of version 5 that a name has below another one: the same in each process.
 *
 * @param {string} namespace
 * @param {string} name
 * @returns {Promise<string>}
 */
export async function derivedId(namespace, name) {
  const prefix = namespace.replaceAll("-", "").match(/../g)?.map((digits) => Number.parseInt(digits, 16)) ?? [];
  const named = new Uint8Array([...prefix, ...new TextEncoder().encode(name)]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-1", named)).slice(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const text = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}

/**
 * Whether the command was executed, and the credential may not read calls: an agent may report its calls only.
 *
 * @param {any} error
 */
function isOfUnreadCall(error) {
  const [result, call] = error.path ?? [];
  return result === "result" && call === "call" && error.extensions?.code === "FORBIDDEN";
}
