/** The client. */

import { Call, attributesInput, release } from "./call.mjs";
import { ApexError, Rejected, Unavailable } from "./errors.mjs";
import { KnownBudgets } from "./known-budgets.mjs";
import { Backoff, Deadline, pause } from "./protocol.mjs";
import { reserve, usageInput } from "./reserving.mjs";
import { check } from "./settings.mjs";

/** @import { CheckedSettings, Settings } from "./settings.mjs" */
/** @import { Usage } from "./usage.mjs" */

/** Commands that are tried in the background at the same time. Beyond it, a reservation is left to expire. */
const MAX_BACKGROUND = 64;

/**
 * Whose call it is, and what is called. What the credential fixes cannot be stated otherwise: leave it out.
 *
 * @typedef {object} Attributes
 * @property {string} [model] Required, unless a tool is called.
 * @property {string} [provider]
 * @property {string} [tool]
 * @property {string} [agent] The global id or UUID of the agent; of the task and the task graph, too.
 * @property {string} [task]
 * @property {string} [dag]
 * @property {string} [conversation]
 * @property {string} [user] By its UUID, if budgets select it; so are the team and the API key.
 * @property {string} [team]
 * @property {string} [key]
 * @property {string} [serviceTier]
 * @property {string} [speed]
 * @property {string} [region]
 * @property {Record<string, string>} [tags] At most 16.
 */

/**
 * @typedef {object} Reserve
 * @property {Usage} usage The most that the call may use: the input counted, or bounded by `inputBound`, and the output limit.
 * @property {number} [minOutputTokens] The fewest output tokens that would do: less may be granted then, `call.outputLimit`.
 * @property {string} [commandId] A UUID that makes it safe to ask again, also from another process.
 * @property {Date} [expiresAt] From 1 minute to 1 day from now. Default: in 15 minutes.
 * @property {boolean} [sent] With `false`, a reservation that expires before `call.markSent()` is released, not charged. Default: true.
 * @property {AbortSignal} [signal] Gives up waiting for Apex. What may have been reserved is released in the background.
 */

/** A client of Apex. */
export class Apex {
  /** @type {CheckedSettings} */
  #settings;
  #known = new KnownBudgets();
  /** @type {Set<Promise<unknown>>} */
  #background = new Set();

  /**
   * @param {Settings} [settings]
   * @throws {ConfigurationError} If a setting is missing or not valid.
   */
  constructor(settings = {}) {
    this.#settings = check(settings);
  }

  /**
   * Reserves the most that a call may use in every budget that applies: all of them grant it, or none.
   *
   * @param {Attributes & Reserve} request
   * @returns {Promise<Call>}
   * @throws {Refused} BudgetExceeded, Undeclared, Unpriced or Counting, if a budget refuses.
   * @throws {Unavailable} If Apex did not answer in time.
   * @throws {RequestError} Or NotHeld, if the request is not as it must be.
   */
  async reserve(request) {
    const { usage, minOutputTokens, commandId, expiresAt, sent = true, signal, ...attributes } = request;
    const input = {
      ...attributesInput(attributes),
      usage: usageInput(usage),
      sent,
      ...(minOutputTokens === undefined ? {} : { minOutputTokens }),
      ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
    };
    const settings = this.#settings;
    let lastId = commandId ?? crypto.randomUUID();
    /** @param {import("./reserving.mjs").Granted | null} granted */
    const call = (granted) => new Call(settings, attributes, usage, granted, sent, this.#inBackground);
    try {
      const asked = (/** @type {string} */ id) => void (lastId = id);
      const granted = await reserve(settings, input, lastId, new Deadline(settings.timeoutMs), asked, signal);
      if (settings.failOpen && this.#known.isDue) {
        await this.#known.refresh(settings, granted.position);
      }
      return call(granted);
    } catch (error) {
      if (error instanceof ApexError && !(error instanceof Unavailable)) {
        throw error;
      }
      const passes = error instanceof Unavailable && settings.failOpen && this.#known.mayPass(attributes);
      if (passes || commandId === undefined) {
        this.#inBackground("release", () => this.#releaseIfMade(lastId));
      }
      if (error instanceof Unavailable) {
        error.reservationId = lastId;
      }
      if (passes) {
        settings.onWarning(`a call is made without a reservation: ${error.message}`);
        return call(null);
      }
      throw error;
    }
  }

  /**
   * Reserves a call, and runs the function that makes and settles it. However the function ends, the reservation is ended: see `Call.leave`.
   *
   * @template T
   * @param {Attributes & Reserve} request
   * @param {(call: Call) => Promise<T>} make
   * @returns {Promise<T>} What the function returns.
   */
  async withBudget(request, make) {
    const call = await this.reserve(request);
    let made;
    try {
      made = await make(call);
    } catch (error) {
      try {
        await call.leave({ error });
      } catch (failed) {
        const message = failed instanceof Error ? failed.message : String(failed);
        this.#settings.onWarning(`a call was not settled, its reservation expires and is charged in full: ${message}`);
      }
      throw error;
    }
    await call.leave(null);
    return made;
  }

  /** Waits for what is done in the background, up to a time. @param {number} [timeoutMs] @returns {Promise<void>} */
  async close(timeoutMs = this.#settings.timeoutMs) {
    const ended = new AbortController();
    const waiting = pause(timeoutMs, ended.signal).catch(() => undefined);
    await Promise.race([Promise.allSettled(this.#background), waiting]);
    ended.abort();
  }

  /** @type {(what: string, doing: () => Promise<unknown>) => void} */
  #inBackground = (what, doing) => {
    if (this.#background.size >= MAX_BACKGROUND) {
      this.#settings.onWarning(`${what}: ${MAX_BACKGROUND} commands are tried in the background, no more are`);
      return;
    }
    const done = doing()
      .catch((/** @type {unknown} */ error) => {
        this.#settings.onWarning(`${what} in the background: ${error instanceof Error ? error.message : String(error)}`);
      })
      .finally(() => this.#background.delete(done));
    this.#background.add(done);
  };

  /**
   * Releases a reservation that was asked for and not answered: it may be made yet, until the deadline.
   *
   * @param {string} reservationId
   */
  async #releaseIfMade(reservationId) {
    const deadline = new Deadline(this.#settings.releaseTimeoutMs);
    const backoff = new Backoff();
    for (;;) {
      try {
        return await release(this.#settings, reservationId, deadline);
      } catch (error) {
        if (!(error instanceof Rejected)) {
          throw error;
        }
        const pauseMs = backoff.nextMs();
        if (error.code !== "NOT_FOUND" || pauseMs >= deadline.leftMs) {
          return undefined;
        }
        await pause(pauseMs);
      }
    }
  }
}
