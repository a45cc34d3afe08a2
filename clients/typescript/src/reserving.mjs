/** Reserving a call. */

import { BudgetExceeded, Counting, NotHeld, Undeclared, Unpriced } from "./errors.mjs";
import { RESERVE, Backoff, command, derivedId, pause } from "./protocol.mjs";

/** @import { Refused } from "./errors.mjs" */
/** @import { Deadline } from "./protocol.mjs" */
/** @import { CheckedSettings } from "./settings.mjs" */
/** @import { Usage } from "./usage.mjs" */

/**
 * A reservation that is held.
 *
 * @typedef {{ reservationId: string, partly: boolean, usage: Usage, cost: string | null, expiresAt: Date, position: string | null }} Granted
 */

/**
 * Reserves a call. A budget that is being counted is asked again under another id, the same one in each process.
 *
 * @param {CheckedSettings} settings
 * @param {Record<string, unknown>} input Without ids.
 * @param {string} commandId
 * @param {Deadline} deadline
 * @param {(id: string) => void} asked Gets the id before a reservation is asked for under it, for the case that the answer is lost.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Granted>}
 */
export async function reserve(settings, input, commandId, deadline, asked, signal) {
  const backoff = new Backoff();
  for (let number = 0; ; number += 1) {
    const id = number === 0 ? commandId : await derivedId(commandId, `attempt ${number}`);
    asked(id);
    // The reservation has the id of the command, so that it is known before it is answered.
    const given = { ...input, commandId: id, uuid: id };
    const { reservation, position } = await command(settings, "reserve a call", RESERVE, given, deadline, signal);
    if (!reservation.refusal) {
      return granted(reservation, position);
    }
    const refusal = refusalOf(reservation.refusal, reservation.uuid);
    const pauseMs = backoff.nextMs();
    if (!(refusal instanceof Counting) || pauseMs >= deadline.leftMs) {
      throw refusal;
    }
    await pause(pauseMs, signal);
  }
}

/** @param {any} found @param {string | null} position The position of the log after it. @returns {Granted} */
function granted(found, position) {
  if (found.status !== "HELD") {
    throw new NotHeld(found.uuid, found.status);
  }
  const { uuid, partly, usage, cost, expiresAt } = found;
  return { reservationId: uuid, partly, usage, cost, expiresAt: new Date(expiresAt), position };
}

/**
 * The error that a refusal is thrown as.
 *
 * @param {any} refusal
 * @param {string} reservationId
 * @returns {Refused}
 */
export function refusalOf(refusal, reservationId) {
  const { reason, budgetId, dimension, left, degrade, approval } = refusal;
  const renewsAt = refusal.renewsAt ? new Date(refusal.renewsAt) : null;
  switch (reason) {
    case "UNDECLARED":
      return new Undeclared(budgetId, dimension, renewsAt, reservationId);
    case "UNPRICED":
      return new Unpriced(budgetId, renewsAt, reservationId);
    case "COUNTING":
      return new Counting(budgetId, renewsAt, reservationId);
    default:
      return new BudgetExceeded(budgetId, left ?? null, renewsAt, reservationId, {
        degrade: degrade ?? null,
        approval: approval ? { id: approval.uuid, expiresAt: new Date(approval.expiresAt) } : null,
        pausedAgent: refusal.pausedAgentId ?? null,
      });
  }
}

/** @param {Usage} usage @returns {Record<string, number>} */
export function usageInput(usage) {
  return Object.fromEntries(Object.entries(usage).filter(([, value]) => value !== undefined && value !== null && value !== 0));
}
