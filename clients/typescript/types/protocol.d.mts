/** What is sent to Apex, again until it is answered, and what its answers mean. */
import type { CheckedSettings } from "./settings.mjs";
export declare const RESERVE = "mutation ($input: ReserveSpendInput!) { result: reserveSpend(input: $input) {\n  position error { code message field } reservation { uuid status partly cost expiresAt\n  usage { input output cacheRead cacheWrite5Min cacheWrite1Hour reasoning audioInput audioOutput imageInput imageOutput\n          images requests searches mediaMs characters }\n  refusal { reason budgetId dimension left renewsAt degrade { model amount } approval { uuid expiresAt } pausedAgentId } } } }";
export declare const EXTEND = "mutation ($input: ExtendReservationInput!) { result: extendReservation(input: $input) {\n  error { code message field } refusal { reason budgetId dimension left renewsAt degrade { model amount } approval { uuid expiresAt } pausedAgentId } reservation { uuid status partly cost expiresAt\n  usage { input output cacheRead cacheWrite5Min cacheWrite1Hour reasoning audioInput audioOutput imageInput imageOutput\n          images requests searches mediaMs characters }\n  refusal { reason budgetId dimension left renewsAt degrade { model amount } approval { uuid expiresAt } pausedAgentId } } } }";
export declare const RELEASE = "mutation ($input: ReleaseReservationInput!) { result: releaseReservation(input: $input) {\n  error { code message field } } }";
export declare const REPORT = "mutation ($input: ReportCallInput!) { result: reportCall(input: $input) {\n  error { code message field } call { id cost } } }";
export declare const BUDGETS = "query ($after: String, $position: Position) { result: budgets(first: 500, after: $after, minPosition: $position) {\n  nodes { closed control { onUnreachable conditions { dimension value } } } pageInfo { hasNextPage endCursor } } }";
/** The time until which an operation may be tried. */
export declare class Deadline {
    #private;
    /** @param {number} timeoutMs */
    constructor(timeoutMs: number);
    get leftMs(): number;
}
/** Pauses that grow, by half at random, so that clients do not return at the same moment. */
export declare class Backoff {
    #private;
    /** @param {number} [atLeastMs] @returns {number} */
    nextMs(atLeastMs?: number): number;
}
/**
 * Waits, unless a signal is aborted.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export declare function pause(milliseconds: number, signal?: AbortSignal): Promise<void>;
export type Retry = {
    retry: string;
    afterMs: number;
};
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
export declare function execute(settings: CheckedSettings, what: string, document: string, variables: Record<string, unknown>, deadline: Deadline, signal?: AbortSignal): Promise<any>;
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
export declare function command(settings: CheckedSettings, what: string, document: string, input: Record<string, unknown>, deadline: Deadline, signal?: AbortSignal): Promise<any>;
/**
 * The UUID of version 5 that a name has below another one: the same in each process.
 *
 * @param {string} namespace
 * @param {string} name
 * @returns {Promise<string>}
 */
export declare function derivedId(namespace: string, name: string): Promise<string>;
