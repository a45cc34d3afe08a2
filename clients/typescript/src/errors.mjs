/** What goes wrong, each with a type of its own. */

/** Base of all errors of this package. */
export class ApexError extends Error {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The URL of Apex or another setting is missing or not valid. */
export class ConfigurationError extends ApexError {}

/** Apex does not execute the request as it is. Sending it again does not help. */
export class RequestError extends ApexError {
  /** @param {string} code @param {string} message @param {string | null} [field] */
  constructor(code, message, field) {
    super(field ? `${code}: ${field}: ${message}` : `${code}: ${message}`);
    /** The code of the error of GraphQL or of the rejected command, such as `FORBIDDEN` or `BAD_USER_INPUT`. */
    this.code = code;
    /** @type {string | null} */
    this.field = field ?? null;
  }
}

/** The credential is missing, is not valid, or has ended. */
export class Unauthenticated extends RequestError {}

/** The credential may not reserve or report calls: it needs `command:calls` and `command:spending`. */
export class Forbidden extends RequestError {}

/** The command is rejected by a rule, such as `ALREADY_RESERVED`, `FIXED` or `COMMAND_ID_REUSED`. */
export class Rejected extends RequestError {}

/** The reservation of this id was ended before: `status` says how. */
export class NotHeld extends ApexError {
  /** @param {string} reservationId @param {string} status */
  constructor(reservationId, status) {
    super(`the reservation ${reservationId} is ${status}: reserve under another id`);
    this.reservationId = reservationId;
    this.status = status;
  }
}

/**
 * Apex did not answer in time, so that it is not known whether it executed the command. A reservation that is not answered is released in the
 * background, unless the caller chose its id: then ask again under the id.
 */
export class Unavailable extends ApexError {
  /** @param {string} what @param {string} reason */
  constructor(what, reason) {
    super(`${what}: Apex did not answer in time, last: ${reason}`);
    this.reason = reason;
    /** @type {string | null} */
    this.reservationId = null;
  }
}

/** A budget refuses the call: it must not be made. */
export class Refused extends ApexError {
  /** @param {string} message @param {string} budget @param {Date | null} renewsAt @param {string} reservationId */
  constructor(message, budget, renewsAt, reservationId) {
    super(message);
    /** The global id of the budget. Of several that refuse, it is the one that renews last. */
    this.budget = budget;
    this.renewsAt = renewsAt;
    this.reservationId = reservationId;
  }
}

/** @typedef {{ model: string, amount: string }} CheaperCall */
/** @typedef {{ id: string, expiresAt: Date }} RequestedApproval */
/** @typedef {{ degrade: CheaperCall | null, approval: RequestedApproval | null, pausedAgent: string | null }} FollowUp */

/** The call does not fit into what is left of a hard budget. By its policy, at most one of `degrade`, `approval` and `pausedAgent` follows. */
export class BudgetExceeded extends Refused {
  /**
   * @param {string} budget
   * @param {string | null} left
   * @param {Date | null} renewsAt
   * @param {string} reservationId
   * @param {FollowUp} [followUp]
   */
  constructor(budget, left, renewsAt, reservationId, followUp) {
    const renews = renewsAt === null ? "" : `; it renews at ${renewsAt.toISOString()}`;
    super(`the budget ${budget} has ${left} left${renews}`, budget, renewsAt, reservationId);
    /** What is left, a decimal number in the unit of the budget. */
    this.left = left;
    /** A call of a cheaper model, which would fit: reserve it. `amount` is what it may use at most, in the unit of the budget. */
    this.degrade = followUp?.degrade ?? null;
    /** An operator is asked to raise the budget. Once that is granted, reserve again, under another id. */
    this.approval = followUp?.approval ?? null;
    /** The global id of the agent of the call, which is paused. */
    this.pausedAgent = followUp?.pausedAgent ?? null;
  }
}

/** A hard budget selects calls by a value that the call does not state: `dimension` names it, such as `tag:project`. */
export class Undeclared extends Refused {
  /** @param {string} budget @param {string} dimension @param {Date | null} renewsAt @param {string} reservationId */
  constructor(budget, dimension, renewsAt, reservationId) {
    super(`the budget ${budget} needs to know the ${dimension} of the call: state it`, budget, renewsAt, reservationId);
    this.dimension = dimension;
  }
}

/** The model has no price, and a hard budget limits money. */
export class Unpriced extends Refused {
  /** @param {string} budget @param {Date | null} renewsAt @param {string} reservationId */
  constructor(budget, renewsAt, reservationId) {
    super(`the model has no price, and the budget ${budget} limits money: set its price`, budget, renewsAt, reservationId);
  }
}

/** What was charged before the budget was defined is not counted yet. It was tried again until the timeout. */
export class Counting extends Refused {
  /** @param {string} budget @param {Date | null} renewsAt @param {string} reservationId */
  constructor(budget, renewsAt, reservationId) {
    super(`the budget ${budget} is new, and is being counted: try again in a moment`, budget, renewsAt, reservationId);
  }
}

/** Throw it in the function of a call if the call is not made: the reservation is released. */
export class NotSent extends Error {
  /** @param {string} [message] @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = "NotSent";
  }
}
