/** What goes wrong, each with a type of its own. */
/** Base of all errors of this package. */
export declare class ApexError extends Error {
    /** @param {string} message @param {ErrorOptions} [options] */
    constructor(message: string, options?: ErrorOptions);
}
/** The URL of Apex or another setting is missing or not valid. */
export declare class ConfigurationError extends ApexError {
}
/** Apex does not execute the request as it is. Sending it again does not help. */
export declare class RequestError extends ApexError {
    /** The code of the error of GraphQL or of the rejected command, such as `FORBIDDEN` or `BAD_USER_INPUT`. */
    code: string;
    /** @type {string | null} */
    field: string | null;
    /** @param {string} code @param {string} message @param {string | null} [field] */
    constructor(code: string, message: string, field?: string | null);
}
/** The credential is missing, is not valid, or has ended. */
export declare class Unauthenticated extends RequestError {
}
/** The credential may not reserve or report calls: it needs `command:calls` and `command:spending`. */
export declare class Forbidden extends RequestError {
}
/** The command is rejected by a rule, such as `ALREADY_RESERVED`, `FIXED` or `COMMAND_ID_REUSED`. */
export declare class Rejected extends RequestError {
}
/** The reservation of this id was ended before: `status` says how. */
export declare class NotHeld extends ApexError {
    reservationId: string;
    status: string;
    /** @param {string} reservationId @param {string} status */
    constructor(reservationId: string, status: string);
}
/**
 * Apex did not answer in time, so that it is not known whether it executed the command. A reservation that is not answered is released in the
 * background, unless the caller chose its id: then ask again under the id.
 */
export declare class Unavailable extends ApexError {
    reason: string;
    /** @type {string | null} */
    reservationId: string | null;
    /** @param {string} what @param {string} reason */
    constructor(what: string, reason: string);
}
/** A budget refuses the call: it must not be made. */
export declare class Refused extends ApexError {
    /** The global id of the budget. Of several that refuse, it is the one that renews last. */
    budget: string;
    renewsAt: Date | null;
    reservationId: string;
    /** @param {string} message @param {string} budget @param {Date | null} renewsAt @param {string} reservationId */
    constructor(message: string, budget: string, renewsAt: Date | null, reservationId: string);
}
export type CheaperCall = {
    model: string;
    amount: string;
};
export type RequestedApproval = {
    id: string;
    expiresAt: Date;
};
export type FollowUp = {
    degrade: CheaperCall | null;
    approval: RequestedApproval | null;
    pausedAgent: string | null;
};
/** @typedef {{ model: string, amount: string }} CheaperCall */
/** @typedef {{ id: string, expiresAt: Date }} RequestedApproval */
/** @typedef {{ degrade: CheaperCall | null, approval: RequestedApproval | null, pausedAgent: string | null }} FollowUp */
/** The call does not fit into what is left of a hard budget. By its policy, at most one of `degrade`, `approval` and `pausedAgent` follows. */
export declare class BudgetExceeded extends Refused {
    /** What is left, a decimal number in the unit of the budget. */
    left: string | null;
    /** A call of a cheaper model, which would fit: reserve it. `amount` is what it may use at most, in the unit of the budget. */
    degrade: CheaperCall | null;
    /** An operator is asked to raise the budget. Once that is granted, reserve again, under another id. */
    approval: RequestedApproval | null;
    /** The global id of the agent of the call, which is paused. */
    pausedAgent: string | null;
    /**
     * @param {string} budget
     * @param {string | null} left
     * @param {Date | null} renewsAt
     * @param {string} reservationId
     * @param {FollowUp} [followUp]
     */
    constructor(budget: string, left: string | null, renewsAt: Date | null, reservationId: string, followUp?: FollowUp);
}
/** A hard budget selects calls by a value that the call does not state: `dimension` names it, such as `tag:project`. */
export declare class Undeclared extends Refused {
    dimension: string;
    /** @param {string} budget @param {string} dimension @param {Date | null} renewsAt @param {string} reservationId */
    constructor(budget: string, dimension: string, renewsAt: Date | null, reservationId: string);
}
/** The model has no price, and a hard budget limits money. */
export declare class Unpriced extends Refused {
    /** @param {string} budget @param {Date | null} renewsAt @param {string} reservationId */
    constructor(budget: string, renewsAt: Date | null, reservationId: string);
}
/** What was charged before the budget was defined is not counted yet. It was tried again until the timeout. */
export declare class Counting extends Refused {
    /** @param {string} budget @param {Date | null} renewsAt @param {string} reservationId */
    constructor(budget: string, renewsAt: Date | null, reservationId: string);
}
/** Throw it in the function of a call if the call is not made: the reservation is released. */
export declare class NotSent extends Error {
    /** @param {string} [message] @param {ErrorOptions} [options] */
    constructor(message?: string, options?: ErrorOptions);
}
