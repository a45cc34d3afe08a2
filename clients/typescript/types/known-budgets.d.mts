/** The budgets as they were last seen: what decides whether a call may pass while Apex cannot be reached. */
import type { CheckedSettings } from "./settings.mjs";
import type { Attributes } from "./apex.mjs";
export declare class KnownBudgets {
    #private;
    /** Whether they are to be read again. */
    get isDue(): boolean;
    /**
     * Whether no closed budget may apply to a call: each has a value that the call states otherwise. A budget on what the call does not state
     * may apply: the credential may say it, or the call would be refused for it.
     *
     * @param {Attributes} attributes
     */
    mayPass(attributes: Attributes): boolean;
    /**
     * Reads the budgets that were defined before a position. If that is not possible, or not allowed, what was seen before counts.
     *
     * @param {CheckedSettings} settings
     * @param {string | null} position
     */
    refresh(settings: CheckedSettings, position: string | null): Promise<void>;
}
