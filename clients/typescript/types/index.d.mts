/** Reserves and settles calls to models within the budgets of Apex: see README.md. */
export { Apex } from "./apex.mjs";
export { Call } from "./call.mjs";
export { ApexError, BudgetExceeded, ConfigurationError, Counting, Forbidden, NotHeld, NotSent, Refused, Rejected, RequestError, Unauthenticated, Unavailable, Undeclared, Unpriced, } from "./errors.mjs";
export { inputBound, usageOf } from "./usage.mjs";
export type Attributes = import("./apex.mjs").Attributes;
export type Reserve = import("./apex.mjs").Reserve;
export type Ending = import("./call.mjs").Ending;
export type Outcome = import("./call.mjs").Outcome;
export type Settled = import("./call.mjs").Settled;
export type Settings = import("./settings.mjs").Settings;
export type Usage = import("./usage.mjs").Usage;
/** @typedef {import("./apex.mjs").Attributes} Attributes */
/** @typedef {import("./apex.mjs").Reserve} Reserve */
/** @typedef {import("./call.mjs").Ending} Ending */
/** @typedef {import("./call.mjs").Outcome} Outcome */
/** @typedef {import("./call.mjs").Settled} Settled */
/** @typedef {import("./settings.mjs").Settings} Settings */
/** @typedef {import("./usage.mjs").Usage} Usage */
