/** The client. */
import { Call } from "./call.mjs";
import type { Settings } from "./settings.mjs";
import type { Usage } from "./usage.mjs";
export type Attributes = {
    /**
     * Required, unless a tool is called.
     */
    model?: string;
    provider?: string;
    tool?: string;
    /**
     * The global id or UUID of the agent; of the task and the task graph, too.
     */
    agent?: string;
    task?: string;
    dag?: string;
    conversation?: string;
    /**
     * By its UUID, if budgets select it; so are the team and the API key.
     */
    user?: string;
    team?: string;
    key?: string;
    serviceTier?: string;
    speed?: string;
    region?: string;
    /**
     * At most 16.
     */
    tags?: Record<string, string>;
};
export type Reserve = {
    /**
     * The most that the call may use: the input counted, or bounded by `inputBound`, and the output limit.
     */
    usage: Usage;
    /**
     * The fewest output tokens that would do: less may be granted then, `call.outputLimit`.
     */
    minOutputTokens?: number;
    /**
     * A UUID that makes it safe to ask again, also from another process.
     */
    commandId?: string;
    /**
     * From 1 minute to 1 day from now. Default: in 15 minutes.
     */
    expiresAt?: Date;
    /**
     * With `false`, a reservation that expires before `call.markSent()` is released, not charged. Default: true.
     */
    sent?: boolean;
    /**
     * Gives up waiting for Apex. What may have been reserved is released in the background.
     */
    signal?: AbortSignal;
};
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
export declare class Apex {
    #private;
    /**
     * @param {Settings} [settings]
     * @throws {ConfigurationError} If a setting is missing or not valid.
     */
    constructor(settings?: Settings);
    /**
     * Reserves the most that a call may use in every budget that applies: all of them grant it, or none.
     *
     * @param {Attributes & Reserve} request
     * @returns {Promise<Call>}
     * @throws {Refused} BudgetExceeded, Undeclared, Unpriced or Counting, if a budget refuses.
     * @throws {Unavailable} If Apex did not answer in time.
     * @throws {RequestError} Or NotHeld, if the request is not as it must be.
     */
    reserve(request: Attributes & Reserve): Promise<Call>;
    /**
     * Reserves a call, and runs the function that makes and settles it. However the function ends, the reservation is ended: see `Call.leave`.
     *
     * @template T
     * @param {Attributes & Reserve} request
     * @param {(call: Call) => Promise<T>} make
     * @returns {Promise<T>} What the function returns.
     */
    withBudget<T>(request: Attributes & Reserve, make: (call: Call) => Promise<T>): Promise<T>;
    /** Waits for what is done in the background, up to a time. @param {number} [timeoutMs] @returns {Promise<void>} */
    close(timeoutMs?: number): Promise<void>;
}
