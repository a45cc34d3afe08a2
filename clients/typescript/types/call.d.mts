/** A call that is reserved, and how it ends. */
import { Deadline } from "./protocol.mjs";
import type { Attributes } from "./apex.mjs";
import type { Granted } from "./reserving.mjs";
import type { CheckedSettings } from "./settings.mjs";
import type { Usage } from "./usage.mjs";
export type Outcome = "OK" | "ERROR" | "TIMEOUT" | "CANCELLED" | "REFUSED";
export type Ending = {
    /**
     * What it used. Without it, what the response states; without that, what was reserved, marked as assumed.
     */
    usage?: Usage | null;
    /**
     * The response of the provider.
     */
    response?: unknown;
    /**
     * Default: `OK`.
     */
    outcome?: Outcome;
    /**
     * The model that served the call, if it is another one.
     */
    model?: string;
    /**
     * The id of the response. Default: that of `response`.
     */
    responseId?: string;
    /**
     * Never a text that may quote the prompt.
     */
    error?: string;
};
export type Settled = {
    /**
     * The global id of the call; null if it was charged before, under another reservation: the provider repeated a
     * response.
     */
    callId: string | null;
    /**
     * What it is charged, a decimal number of US dollars; null if its model has no price, or the credential may not read calls.
     */
    cost: string | null;
};
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
export declare class Call {
    #private;
    /** The id of the reservation; null if there is none. */
    reservationId: string | null;
    /** What was reserved: the most that the call may use. */
    usage: Usage;
    /** Whether less output was granted than asked for. */
    partly: boolean;
    /** What the call may cost at most, a decimal number of US dollars; null if its model has no price. */
    cost: string | null;
    expiresAt: Date | null;
    /**
     * @param {CheckedSettings} settings
     * @param {Attributes} attributes
     * @param {Usage} usage
     * @param {Granted | null} granted
     * @param {boolean} sent
     * @param {(what: string, doing: () => Promise<unknown>) => void} inBackground
     */
    constructor(settings: CheckedSettings, attributes: Attributes, usage: Usage, granted: Granted | null, sent: boolean, inBackground: (what: string, doing: () => Promise<unknown>) => void);
    /** The limit of output tokens to send to the provider: what was granted. */
    get outputLimit(): number;
    /** Whether budgets hold room for the call. */
    get isReserved(): boolean;
    /**
     * Charges what the call used instead of what was reserved, and records the call. Settling again with the same values has no effect; with others,
     * it is Rejected.
     *
     * @param {Ending} [ending]
     * @returns {Promise<Settled | null>} Null if the call had no reservation and is reported in the background.
     * @throws {Unavailable} If Apex did not answer in time: then settle again, or the reservation is charged in full when it expires.
     */
    settle(ending?: Ending): Promise<Settled | null>;
    /** Releases the reservation: the call was not made, or cost nothing. @returns {Promise<void>} */
    release(): Promise<void>;
    /**
     * Says that the call is sent, of one that was reserved with `sent: false`: from now on it is charged when it expires.
     *
     * @returns {Promise<void>}
     */
    markSent(): Promise<void>;
    /**
     * Reserves for more usage, all of it, or for longer.
     *
     * @param {{ usage?: Usage, expiresAt?: Date }} more
     * @returns {Promise<void>}
     * @throws {Refused} If it does not fit: the reservation stays as it is.
     */
    extend(more: {
        usage?: Usage;
        expiresAt?: Date;
    }): Promise<void>;
    /**
     * Ends a call whose function ended: without effect if it was settled or released there. A call that was not sent is released. One that the
     * provider refused cost nothing. Any other may have cost all that was reserved.
     *
     * @param {{ error: unknown } | null} failed
     * @returns {Promise<void>}
     */
    leave(failed: {
        error: unknown;
    } | null): Promise<void>;
}
/**
 * Releases a reservation whose call was not made.
 *
 * @param {CheckedSettings} settings
 * @param {string} reservationId
 * @param {Deadline} deadline
 */
export declare function release(settings: CheckedSettings, reservationId: string, deadline: Deadline): Promise<void>;
/**
 * The fields of GraphQL that are stated.
 *
 * @param {Attributes} attributes
 * @returns {Record<string, unknown>}
 */
export declare function attributesInput(attributes: Attributes): Record<string, unknown>;
