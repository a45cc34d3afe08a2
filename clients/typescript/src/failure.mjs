/** What an error of a call says of the call: whether it was made, and what it may have cost. */

import { NotSent } from "./errors.mjs";

/** Codes of errors before anything is sent, of Node and of its fetch. */
const UNSENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);
const CANCELLED = new Set(["AbortError", "APIUserAbortError"]);
const MAX_CAUSES = 16;

/**
 * How a call failed. `unsent`: it was not made. `answered`: the provider refused it, which costs nothing. `unknown`: it may have cost all that
 * was reserved.
 *
 * @typedef {{ kind: "unsent" | "answered" | "unknown", outcome: "ERROR" | "TIMEOUT" | "CANCELLED" }} CallFailure
 */

/** @param {unknown} error @returns {CallFailure} */
export function failureOf(error) {
  const causes = [...chain(error)];
  if (causes.some((cause) => cause instanceof NotSent || UNSENT.has(String(field(cause, "code"))))) {
    return { kind: "unsent", outcome: "ERROR" };
  }
  const names = causes.map((cause) => `${String(field(cause, "name"))} ${String(field(cause, "constructor", "name"))}`);
  if (names.some((name) => name.includes("Timeout")) || causes.some((cause) => String(field(cause, "code")).includes("TIMEOUT"))) {
    return { kind: "unknown", outcome: "TIMEOUT" };
  }
  if (names.some((name) => name.split(" ").some((word) => CANCELLED.has(word)))) {
    return { kind: "unknown", outcome: "CANCELLED" };
  }
  const status = field(error, "status") ?? field(error, "statusCode") ?? field(error, "response", "status");
  const isAnswered = typeof status === "number" && status >= 400;
  return { kind: isAnswered ? "answered" : "unknown", outcome: "ERROR" };
}

/** @param {unknown} error @returns {Generator<unknown, void, void>} */
function* chain(error) {
  for (let cause = error, number = 0; cause !== undefined && cause !== null && number < MAX_CAUSES; number += 1) {
    yield cause;
    cause = field(cause, "cause");
  }
}

/** @param {unknown} value @param {...string} path @returns {unknown} */
function field(value, ...path) {
  return path.reduce(
    (/** @type {unknown} */ found, name) =>
      (typeof found === "object" && found !== null) || typeof found === "function" ? Reflect.get(found, name) : undefined,
    value,
  );
}
