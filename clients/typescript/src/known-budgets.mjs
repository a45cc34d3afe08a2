/** The budgets as they were last seen: what decides whether a call may pass while Apex cannot be reached. */

import { RequestError, Unavailable } from "./errors.mjs";
import { BUDGETS, Deadline, execute } from "./protocol.mjs";

/** @import { CheckedSettings } from "./settings.mjs" */
/** @import { Attributes } from "./apex.mjs" */

/** After how long the budgets are read again, with the next reservation. */
const REFRESH_MS = 60_000;
/** How long they are relied on. */
const RELIED_ON_MS = 600_000;
/** Pages of 500 budgets that are read. With more, no call passes. */
const MAX_PAGES = 10;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** @type {readonly (keyof Attributes)[]} */
const NAMES = ["conversation", "provider", "model", "tool"];
/** @type {readonly (keyof Attributes)[]} */
const IDS = ["agent", "task", "dag", "user", "team", "key"];

export class KnownBudgets {
  /** @type {Map<string, string>[] | null} */
  #closed = null;
  #seenAt = 0;

  /** Whether they are to be read again. */
  get isDue() {
    return this.#closed === null || performance.now() - this.#seenAt > REFRESH_MS;
  }

  /**
   * Whether no closed budget may apply to a call: each has a value that the call states otherwise. A budget on what the call does not state
   * may apply: the credential may say it, or the call would be refused for it.
   *
   * @param {Attributes} attributes
   */
  mayPass(attributes) {
    if (this.#closed === null || performance.now() - this.#seenAt > RELIED_ON_MS) {
      return false;
    }
    const stated = dimensions(attributes);
    return this.#closed.every((conditions) =>
      [...conditions].some(([dimension, value]) => stated.has(dimension) && stated.get(dimension) !== value),
    );
  }

  /**
   * Reads the budgets that were defined before a position. If that is not possible, or not allowed, what was seen before counts.
   *
   * @param {CheckedSettings} settings
   * @param {string | null} position
   */
  async refresh(settings, position) {
    /** @type {Map<string, string>[]} */
    const closedOnes = [];
    const [deadline, began] = [new Deadline(settings.timeoutMs), performance.now()];
    let after = null;
    try {
      for (let number = 0; number < MAX_PAGES; number += 1) {
        /** @type {any} */
        const page = await execute(settings, "read budgets", BUDGETS, { after, position }, deadline);
        for (const { closed, control } of page.nodes) {
          if (!closed && control?.onUnreachable === "CLOSED") {
            /** @type {{ dimension: string, value: string }[]} */
            const conditions = control.conditions;
            closedOnes.push(new Map(conditions.map(({ dimension, value }) => [dimension, value])));
          }
        }
        after = page.pageInfo.endCursor;
        if (!page.pageInfo.hasNextPage) {
          [this.#closed, this.#seenAt] = [closedOnes, began];
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof Unavailable || error instanceof RequestError)) {
        throw error;
      }
    }
  }
}

/**
 * The values by dimension, as budgets select calls by them. An id that is no UUID is left out.
 *
 * @param {Attributes} attributes
 */
function dimensions(attributes) {
  /** @type {Map<string, string>} */
  const stated = new Map(Object.entries(attributes.tags ?? {}).map(([key, value]) => [`tag:${key}`, value]));
  for (const name of [...NAMES, ...IDS]) {
    const value = attributes[name];
    const text = typeof value === "string" && IDS.includes(name) ? value.toLowerCase() : value;
    if (typeof text === "string" && (NAMES.includes(name) || UUID.test(text))) {
      stated.set(name, text);
    }
  }
  return stated;
}
