/** What an error of a call says of the call: whether it was made, and what it may have cost. */
export type CallFailure = {
    kind: "unsent" | "answered" | "unknown";
    outcome: "ERROR" | "TIMEOUT" | "CANCELLED";
};
/**
 * How a call failed. `unsent`: it was not made. `answered`: the provider refused it, which costs nothing. `unknown`: it may have cost all that
 * was reserved.
 *
 * @typedef {{ kind: "unsent" | "answered" | "unknown", outcome: "ERROR" | "TIMEOUT" | "CANCELLED" }} CallFailure
 */
/** @param {unknown} error @returns {CallFailure} */
export declare function failureOf(error: unknown): CallFailure;
