/** Reserving a call. */
import type { Refused } from "./errors.mjs";
import type { Deadline } from "./protocol.mjs";
import type { CheckedSettings } from "./settings.mjs";
import type { Usage } from "./usage.mjs";
export type Granted = {
    reservationId: string;
    partly: boolean;
    usage: Usage;
    cost: string | null;
    expiresAt: Date;
    position: string | null;
};
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
export declare function reserve(settings: CheckedSettings, input: Record<string, unknown>, commandId: string, deadline: Deadline, asked: (id: string) => void, signal?: AbortSignal): Promise<Granted>;
/**
 * The error that a refusal is thrown as.
 *
 * @param {any} refusal
 * @param {string} reservationId
 * @returns {Refused}
 */
export declare function refusalOf(refusal: any, reservationId: string): Refused;
/** @param {Usage} usage @returns {Record<string, number>} */
export declare function usageInput(usage: Usage): Record<string, number>;
