/** Where Apex is, and how long it is waited for. */

import { ConfigurationError } from "./errors.mjs";

/**
 * The environment variables are those of the command line of Apex.
 *
 * @typedef {object} Settings
 * @property {string} [url] `https`, or `http` on loopback. Default: `APEX_URL`.
 * @property {string} [token] An API key. Default: `APEX_TOKEN`.
 * @property {boolean} [insecureHttp] Whether the credential may be sent over plain HTTP to another machine. Default: `APEX_INSECURE_HTTP`.
 * @property {number} [timeoutMs] How long an operation may take, with all its attempts. Default: 10,000.
 * @property {number} [attemptTimeoutMs] How long an attempt may take. Default: 5,000.
 * @property {number} [releaseTimeoutMs] How long a reservation that was not answered is tried to be released in the background. Default: 60,000.
 * @property {number} [reportTimeoutMs] How long a call that was made while Apex could not be reached is tried to be reported in the background.
 *   Default: 600,000.
 * @property {boolean} [failOpen] Whether calls are made without a reservation while Apex cannot be reached, if no hard budget may apply to them.
 *   Default: false.
 * @property {typeof globalThis.fetch} [fetch] What sends requests. Default: the global one.
 * @property {(message: string) => void} [onWarning] Gets what is not thrown to a caller. Default: `console.warn`.
 */

/** @typedef {Omit<Required<Settings>, "token" | "insecureHttp" | "url"> & { endpoint: string, headers: Record<string, string> }} CheckedSettings */

/** @param {string} name @returns {string | undefined} */
function variable(name) {
  /** @type {unknown} */
  const process = Reflect.get(globalThis, "process");
  const environment = /** @type {{ env?: Record<string, string | undefined> } | undefined} */ (process)?.env;
  return environment?.[name] || undefined;
}

/**
 * The settings with what the environment adds.
 *
 * @param {Settings} settings
 * @returns {CheckedSettings}
 * @throws {ConfigurationError} If there is no URL, or it is not one that credentials may be sent to.
 */
export function check(settings) {
  const url = (settings.url ?? variable("APEX_URL") ?? "").replace(/\/+$/, "");
  if (url === "") {
    throw new ConfigurationError("the URL of Apex is not known: set APEX_URL, or pass `url`");
  }
  const parts = URL.canParse(url) ? new URL(url) : null;
  if (parts === null || !["http:", "https:"].includes(parts.protocol)) {
    throw new ConfigurationError(`${JSON.stringify(url)} is not a URL of a server, such as https://apex.example.com`);
  }
  const insecure = settings.insecureHttp ?? ["1", "true"].includes((variable("APEX_INSECURE_HTTP") ?? "").toLowerCase());
  const isLoopback = parts.hostname === "localhost" || parts.hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(parts.hostname);
  if (parts.protocol === "http:" && !insecure && !isLoopback) {
    throw new ConfigurationError(`${JSON.stringify(url)} is plain HTTP to another machine: use https, or set APEX_INSECURE_HTTP=true`);
  }
  const limits = {
    timeoutMs: settings.timeoutMs ?? 10_000,
    attemptTimeoutMs: settings.attemptTimeoutMs ?? 5_000,
    releaseTimeoutMs: settings.releaseTimeoutMs ?? 60_000,
    reportTimeoutMs: settings.reportTimeoutMs ?? 600_000,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value > 0)) {
      throw new ConfigurationError(`\`${name}\` must be greater than 0`);
    }
  }
  const token = settings.token ?? variable("APEX_TOKEN");
  return {
    ...limits,
    endpoint: `${url}/graphql`,
    headers: {
      "content-type": "application/json",
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    failOpen: settings.failOpen ?? false,
    fetch: settings.fetch ?? globalThis.fetch.bind(globalThis),
    onWarning: settings.onWarning ?? ((message) => console.warn(`apex-client: ${message}`)),
  };
}
