/** A call that is reserved, and how it ends. */

import { Rejected, Unavailable } from "./errors.mjs";
import { failureOf } from "./failure.mjs";
import { EXTEND, RELEASE, REPORT, Deadline, command, derivedId } from "./protocol.mjs";
import { refusalOf, usageInput } from "./reserving.mjs";
import { usageOf } from "./usage.mjs";

/** @import { Attributes } from "./apex.mjs" */
/** @import { Granted } from "./reserving.mjs" */
/** @import { CheckedSettings } from "./settings.mjs" */
/** @import { Usage } from "./usage.mjs" */

/** @typedef {"OK" | "ERROR" | "TIMEOUT" | "CANCELLED" | "REFUSED"} Outcome */

/**
 * How a call ended.
 *
 * @typedef {object} Ending
 * @property {Usage | null} [usage] What it used. Without it, what the response states; without that, what was reserved, marked as assumed.
 * @property {unknown} [response] The response of the provider.
 * @property {Outcome} [outcome] Default: `OK`.
 * @property {string} [model] The model that served the call, if it is another one.
 * @property {string} [responseId] The id of the response. Default: that of `response`.
 * @property {string} [error] Never a text that may quote the prompt.
 */

/**
 * A call that is charged.
 *
 * @typedef {object} Settled
 * @property {string | null} callId The global id of the call; null if it was charged before, under another reservation: the provider repeated a
 *   response.
 * @property {string | null} cost What it is charged, a decimal number of US dollars; null if its model has no price, or the credential may not read calls.
 */

/** A call that may be made. Without a reservation, Apex could not be reached, and no hard budget may apply to it. */
export class Call {
  /** @type {CheckedSettings} */
  #settings;
  /** @type {Attributes} */
  #attributes;
  /** @type {(what: string, doing: () => Promise<unknown>) => void} */
  #inBackground;
  #callId;
  #sent;
  #isEnding = false;
  #startedAt = new Date();
  #started = performance.now();
  /** @type {number | null} */
  #latencyMs = null;

  /**
   * @param {CheckedSettings} settings
   * @param {Attributes} attributes
   * @param {Usage} usage
   * @param {Granted | null} granted
   * @param {boolean} sent
   * @param {(what: string, doing: () => Promise<unknown>) => void} inBackground
   */
  constructor(settings, attributes, usage, granted, sent, inBackground) {
    this.#settings = settings;
    this.#attributes = attributes;
    this.#inBackground = inBackground;
    this.#sent = sent;
    /** The id of the reservation; null if there is none. */
    this.reservationId = granted?.reservationId ?? null;
    /** What was reserved: the most that the call may use. */
    this.usage = granted?.usage ?? usage;
    /** Whether less output was granted than asked for. */
    this.partly = granted?.partly ?? false;
    /** What the call may cost at most, a decimal number of US dollars; null if its model has no price. */
    this.cost = granted?.cost ?? null;
    this.expiresAt = granted?.expiresAt ?? null;
    this.#callId = this.reservationId ?? crypto.randomUUID();
  }

  /** The limit of output tokens to send to the provider: what was granted. */
  get outputLimit() {
    return this.usage.output ?? 0;
  }

  /** Whether budgets hold room for the call. */
  get isReserved() {
    return this.reservationId !== null;
  }

  /**
   * Charges what the call used instead of what was reserved, and records the call. Settling again with the same values has no effect; with others,
   * it is Rejected.
   *
   * @param {Ending} [ending]
   * @returns {Promise<Settled | null>} Null if the call had no reservation and is reported in the background.
   * @throws {Unavailable} If Apex did not answer in time: then settle again, or the reservation is charged in full when it expires.
   */
  async settle(ending = {}) {
    try {
      return await this.#report(ending, this.#settings.timeoutMs);
    } catch (error) {
      if (this.isReserved || !(error instanceof Unavailable)) {
        throw error;
      }
      this.#settings.onWarning(`a call without a reservation is reported in the background: ${error.message}`);
      this.#inBackground("report", () => this.#report(ending, this.#settings.reportTimeoutMs));
      return null;
    }
  }

  /** Releases the reservation: the call was not made, or cost nothing. @returns {Promise<void>} */
  async release() {
    this.#isEnding = true;
    if (this.reservationId !== null) {
      await release(this.#settings, this.reservationId, new Deadline(this.#settings.timeoutMs));
    }
  }

  /**
   * Says that the call is sent, of one that was reserved with `sent: false`: from now on it is charged when it expires.
   *
   * @returns {Promise<void>}
   */
  async markSent() {
    await this.#extend({ sent: true });
    this.#sent = true;
  }

  /**
   * Reserves for more usage, all of it, or for longer.
   *
   * @param {{ usage?: Usage, expiresAt?: Date }} more
   * @returns {Promise<void>}
   * @throws {Refused} If it does not fit: the reservation stays as it is.
   */
  async extend(more) {
    await this.#extend({
      ...(more.usage === undefined ? {} : { usage: usageInput(more.usage) }),
      ...(more.expiresAt === undefined ? {} : { expiresAt: more.expiresAt.toISOString() }),
    });
  }

  /**
   * Ends a call whose function ended: without effect if it was settled or released there. A call that was not sent is released. One that the
   * provider refused cost nothing. Any other may have cost all that was reserved.
   *
   * @param {{ error: unknown } | null} failed
   * @returns {Promise<void>}
   */
  async leave(failed) {
    if (this.#isEnding) {
      return;
    }
    const failure = failed === null ? null : failureOf(failed.error);
    if (!this.#sent || failure?.kind === "unsent") {
      await this.release();
      return;
    }
    if (failure === null) {
      this.#settings.onWarning("the function of a call ended without settling it: it is charged what was reserved");
      await this.settle();
      return;
    }
    // Only its name: a message may quote the prompt.
    const name = failed?.error instanceof Error ? failed.error.name : "Error";
    await this.settle({ usage: failure.kind === "answered" ? {} : null, outcome: failure.outcome, error: name });
  }

  /** @param {Record<string, unknown>} input */
  async #extend(input) {
    if (this.reservationId === null) {
      return;
    }
    const given = { uuid: this.reservationId, commandId: crypto.randomUUID(), ...input };
    const deadline = new Deadline(this.#settings.timeoutMs);
    const payload = await command(this.#settings, "extend a reservation", EXTEND, given, deadline);
    if (payload.refusal) {
      throw refusalOf(payload.refusal, this.reservationId);
    }
    this.usage = payload.reservation.usage;
    this.cost = payload.reservation.cost;
    this.expiresAt = new Date(payload.reservation.expiresAt);
  }

  /** @param {Ending} ending @param {number} timeoutMs @returns {Promise<Settled>} */
  async #report(ending, timeoutMs) {
    this.#isEnding = true;
    const usage = ending.usage ?? usageOf(ending.response);
    const responseId = ending.responseId ?? idOf(ending.response);
    // Measured once, so that settling again is the same command.
    this.#latencyMs ??= Math.floor(performance.now() - this.#started);
    const input = {
      ...attributesInput(this.#attributes),
      commandId: await derivedId(this.#callId, "settle"),
      // Every report of the call is one of the same call, whatever id the provider gave it.
      id: this.#callId,
      outcome: ending.outcome ?? "OK",
      startedAt: this.#startedAt.toISOString(),
      latencyMs: this.#latencyMs,
      usage: usageInput(usage ?? this.usage),
      usageAssumed: usage === null,
      ...(this.reservationId === null ? {} : { reservation: this.reservationId }),
      ...(ending.model === undefined ? {} : { model: ending.model }),
      ...(responseId === null ? {} : { responseId }),
      ...(ending.error === undefined ? {} : { error: ending.error }),
    };
    const deadline = new Deadline(timeoutMs);
    try {
      const { call } = await command(this.#settings, "settle a call", REPORT, input, deadline);
      return { callId: call?.id ?? null, cost: call?.cost ?? null };
    } catch (error) {
      const isRepeated = error instanceof Rejected && error.code === "BAD_RESERVATION" && responseId !== null;
      if (!isRepeated || this.reservationId === null) {
        throw error;
      }
      return await this.#releaseRepeated(this.reservationId, error, deadline);
    }
  }

  /**
   * Releases the reservation of a response that another one was settled by: the provider answered again, at no cost. If it is not held, that is
   * not why it was rejected.
   *
   * @param {string} reservationId
   * @param {Rejected} rejected
   * @param {Deadline} deadline
   * @returns {Promise<Settled>}
   */
  async #releaseRepeated(reservationId, rejected, deadline) {
    try {
      await release(this.#settings, reservationId, deadline);
    } catch (error) {
      throw error instanceof Rejected ? rejected : error;
    }
    return { callId: null, cost: "0" };
  }
}

/**
 * Releases a reservation whose call was not made.
 *
 * @param {CheckedSettings} settings
 * @param {string} reservationId
 * @param {Deadline} deadline
 */
export async function release(settings, reservationId, deadline) {
  const input = { uuid: reservationId, commandId: await derivedId(reservationId, "release") };
  await command(settings, "release a reservation", RELEASE, input, deadline);
}

/**
 * The fields of GraphQL that are stated.
 *
 * @param {Attributes} attributes
 * @returns {Record<string, unknown>}
 */
export function attributesInput(attributes) {
  const { agent, task, dag, tags, ...names } = attributes;
  const given = { ...names, agentId: agent, taskId: task, dagId: dag };
  const listed = Object.entries(tags ?? {}).map(([key, value]) => ({ key, value }));
  const stated = Object.entries(given).filter(([, value]) => value !== undefined && value !== null);
  return { ...Object.fromEntries(stated), ...(listed.length === 0 ? {} : { tags: listed }) };
}

/** @param {unknown} response @returns {string | null} */
function idOf(response) {
  const id = typeof response === "object" && response !== null ? Reflect.get(response, "id") : null;
  const isName = typeof id === "string" && id.trim() !== "" && new TextEncoder().encode(id).length <= 256;
  return isName ? id : null;
}
