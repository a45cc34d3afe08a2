/** Reserves and settles calls to models within the budgets of Apex: see README.md. */

export { Apex } from "./apex.mjs";
export { Call } from "./call.mjs";
export {
  ApexError,
  BudgetExceeded,
  ConfigurationError,
  Counting,
  Forbidden,
  NotHeld,
  NotSent,
  Refused,
  Rejected,
  RequestError,
  Unauthenticated,
  Unavailable,
  Undeclared,
  Unpriced,
} from "./errors.mjs";
export { inputBound, usageOf } from "./usage.mjs";

/** @typedef {import("./apex.mjs").Attributes} Attributes */
/** @typedef {import("./apex.mjs").Reserve} Reserve */
/** @typedef {import("./call.mjs").Ending} Ending */
/** @typedef {import("./call.mjs").Outcome} Outcome */
/** @typedef {import("./call.mjs").Settled} Settled */
/** @typedef {import("./settings.mjs").Settings} Settings */
/** @typedef {import("./usage.mjs").Usage} Usage */
