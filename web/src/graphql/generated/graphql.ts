/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
/** Input of `acknowledgeBudgetCondition`. `budgetWatches` has the values that name an alert. */
export type AcknowledgeBudgetConditionInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /** UUID of the period. */
  balanceId: string;
  /** Global id or UUID of the budget. */
  budgetId: string | number;
  /** Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID. */
  commandId?: string | null | undefined;
  /** Condition. */
  condition: WatchCondition;
  /** Why, or what is done about it: text of at most 64 KiB. */
  reason?: string | null | undefined;
  /** Version of the terms. */
  termsVersion: number;
};

/** Input of `activateAgent`. */
export type ActivateAgentInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the agent. */
  id: string | number;
};

/** Input of `addTeamMember`. */
export type AddTeamMemberInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the team. */
  id: string | number;
  /** The new member. */
  member: TeamMemberInput;
};

/** Reasons for which a command to an agent is rejected. */
export type AgentErrorCode =
  /** Another agent with a different profile is registered under this id. */
  | 'ALREADY_REGISTERED'
  /** The agent was paused or retired before, for a different reason. */
  | 'ALREADY_STOPPED'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** The status of the agent does not allow the command. */
  | 'NOT_POSSIBLE'
  /** No agent with this id is registered. */
  | 'NOT_REGISTERED'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Conditions on agents. An agent must meet all conditions that are given. */
export type AgentFilter = {
  /** Selects agents with this status. Default: any status. */
  status?: AgentStatus | null | undefined;
};

/** Lifecycle status of an agent. */
export type AgentStatus =
  /** The agent is active. Its tasks can be started. */
  | 'ACTIVE'
  /** The agent is paused. Its tasks cannot be started until it is resumed. */
  | 'PAUSED'
  /** The agent is registered and was not activated yet. Its tasks cannot be started. */
  | 'REGISTERED'
  /** The agent is retired for good. Tasks can no longer be submitted to it or started. */
  | 'RETIRED';

/** Address of an endpoint. What is given depends on the kind. */
export type AlertAddressInput = {
  /** E-mail address. Of `EMAIL`. */
  email?: string | null | undefined;
  /** Routing key, which is the integration key of a service. Of `PAGER_DUTY`. */
  routingKey?: string | null | undefined;
  /** URL that alerts are posted to. Of `WEBHOOK`, `SLACK` and `TEAMS`; of `PAGER_DUTY` by default that of its Events API. */
  url?: string | null | undefined;
};

/** State of a delivery. */
export type AlertDeliveryState =
  /** It failed, and is not tried again unless `redeliverAlerts` demands it. */
  | 'DEAD_LETTER'
  /** The endpoint accepted it. */
  | 'DELIVERED'
  /** An operator of the installation dropped it. */
  | 'DROPPED'
  /** It is being delivered. */
  | 'SENDING'
  /** It is delivered, or tried again, at `nextAttemptAt`. */
  | 'WAITING';

/** What disabled an endpoint. */
export type AlertEndpointDisabledCause =
  /** A command. */
  | 'COMMAND'
  /** The endpoint answered with 410 (Gone). */
  | 'GONE';

/** Reasons for which a command to an endpoint for alerts is rejected. */
export type AlertEndpointErrorCode =
  /** Another endpoint has the id. */
  | 'ALREADY_DEFINED'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** The endpoint is disabled. */
  | 'DISABLED'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** An endpoint keeps its kind. */
  | 'KIND_IMMUTABLE'
  /** There is no such endpoint, or it was removed. */
  | 'NOT_DEFINED'
  /** The endpoint is not signed, and has no secret. */
  | 'NOT_SIGNED'
  /** Both secrets would be used for longer than 7 days. */
  | 'OVERLAP_TOO_LONG'
  /** Quiet hours have no day, a wrong one, or leave no part of the week. */
  | 'QUIET_HOURS'
  /** A silence ends after it begins, and at most 30 days later. */
  | 'SILENCE_LENGTH'
  /** The tenant has 50 endpoints, and no more may be defined. */
  | 'TOO_MANY'
  /** An endpoint is limited to at most 50 budgets. */
  | 'TOO_MANY_BUDGETS'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Input of `disableAlertEndpoint`, `enableAlertEndpoint` and `removeAlertEndpoint`. */
export type AlertEndpointInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** UUID of the endpoint. */
  endpointId: string;
  /**
   * Version that the endpoints of the tenant must have, which is the number of their events. The command is
   * rejected with `WRONG_VERSION` if they have another one. Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Why: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Kind of an endpoint, which decides the form of what is sent to it. */
export type AlertEndpointKind =
  /** E-mail address. */
  | 'EMAIL'
  /** Events API (version 2) of PagerDuty, or of what is compatible with it. */
  | 'PAGER_DUTY'
  /** Incoming webhook of Slack, or of what is compatible with it. */
  | 'SLACK'
  /** Workflow of Microsoft Teams, which takes an adaptive card. */
  | 'TEAMS'
  /** HTTP endpoint by the Standard Webhooks specification. It is signed. */
  | 'WEBHOOK';

/** Reasons for which `acknowledgeAlert` or `resolveAlert` is rejected. */
export type AlertErrorCode =
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** The threshold is not crossed any more, or was crossed again, because the limit was raised since. */
  | 'NOT_CROSSED'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Status of an alert. */
export type AlertStatus =
  /** The alert is known: `acknowledgeAlert`. */
  | 'ACKNOWLEDGED'
  /** The threshold is crossed, and the alert was not answered. */
  | 'FIRING'
  /** The alert is settled: by `resolveAlert`, by a raised limit, or because its period is over. */
  | 'RESOLVED';

/** Input of `acknowledgeAlert` and `resolveAlert`. */
export type AnswerAlertInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /** Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID. */
  commandId?: string | null | undefined;
  /** Position of the alert, as `budgetThresholds` has it. */
  position: string;
  /** Why, or what is done about it: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `answerApproval`. */
export type AnswerApprovalInput = {
  /** Answer. */
  answer: ApprovalAnswer;
  /** UUID of the request. */
  approvalId: string;
  /** Idempotency key of the command. A retry with the same key and the same input changes nothing. Default: a new UUID. */
  commandId?: string | null | undefined;
  /** Why: text of at most 64 KiB. */
  reason: string;
};

/** How long a new API key is accepted. Give exactly one of the two. */
export type ApiKeyLifetimeInput =
  {   /** Until this time. */
  expiresAt: string; neverExpires?: never; }
  |  { expiresAt?: never;   /** Until it is revoked. The value must be true. */
  neverExpires: boolean; };

/** Permissions of a new API key. Give exactly one of the two. */
export type ApiKeyScopesInput =
  {   /** All permissions of the account. The value must be true. */
  all: boolean; only?: never; }
  |  { all?: never;   /** Only these permissions, at least one, such as `command:calls`. */
  only: Array<string>; };

/** Answer to a request for approval. */
export type ApprovalAnswer =
  /** Raises the limit of the budget by what was asked for, to the end of the period. */
  | 'APPROVE'
  /** Leaves the limit as it is. */
  | 'DENY';

/** Reasons for which `answerApproval` is rejected. */
export type ApprovalErrorCode =
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** There is no such request. */
  | 'NOT_FOUND'
  /** The request was answered otherwise, or its deadline has passed. */
  | 'NOT_PENDING'
  /** The limit of the budget cannot be raised, such as of one that is closed. */
  | 'NOT_RAISED'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Status of a request for approval. */
export type ApprovalStatus =
  /** It was denied. */
  | 'DENIED'
  /** It was not answered in time: the limit stays as it is. */
  | 'EXPIRED'
  /** The limit of the budget was raised. */
  | 'GRANTED'
  /** It waits for an answer. */
  | 'PENDING';

/** A point in the history of an object. Give exactly one of the two. */
export type AsOf =
  {   /** Includes every event up to and including this position of the log. */
  position: string; time?: never; }
  |  { position?: never;   /** Includes every event that was recorded at or before this time. */
  time: string; };

/** A value that calls must have. */
export type BudgetConditionInput = {
  /**
   * The dimension: `agent`, `task`, `dag`, `conversation`, `user`, `team`, `key`, `provider`, `model` or `tool`; a tag is
   * `tag:KEY`.
   */
  dimension: string;
  /** The value; of agents, tasks, task graphs, users, teams and API keys a UUID in lower case. */
  value: string;
};

/** How strictly a budget is enforced. */
export type BudgetEnforcement =
  /** A reservation that does not fit is refused. */
  | 'HARD'
  /** Nothing is refused; the budget counts, and how often it would have refused. */
  | 'SHADOW'
  /** Nothing is refused; the budget counts. */
  | 'SOFT';

/** Reasons for which a command to a budget is rejected. */
export type BudgetErrorCode =
  /** A budget with different terms is defined under this id. */
  | 'ALREADY_DEFINED'
  /** Periods begin on a day from 1 to 28. */
  | 'BAD_ANCHOR'
  /** The scope has no conditions, more than 8, or one whose value calls cannot have. */
  | 'BAD_CONDITIONS'
  /** A delegation is not above zero, or does not end after it begins. */
  | 'BAD_DELEGATION'
  /** The parts are not 1 to 8, or the budget has thresholds of its own, which only a budget of one part has. */
  | 'BAD_PARTS'
  /** What follows a refusal, or happens while Apex cannot be reached, is not one of the enforcement, or not within its limits. */
  | 'BAD_POLICY'
  /** A raise is not above zero, or does not end after it begins. */
  | 'BAD_RAISE'
  /** A threshold is not between 1 and 1000 percent. */
  | 'BAD_THRESHOLD'
  /** The budget is closed. */
  | 'CLOSED'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** Whether a budget has `enforcement`, what it counts, and its number of parts cannot be changed. */
  | 'CONTROL_FIXED'
  /** Only a hard budget that is not suspended delegates. */
  | 'DELEGATES_NOTHING'
  /** More is to be delegated than is left of the period. */
  | 'DELEGATION_EXCEEDS'
  /** Another delegation has the id, or had it. */
  | 'DELEGATION_EXISTS'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** The limit is not greater than zero. */
  | 'LIMIT_NOT_POSITIVE'
  /** No budget with this id is defined. */
  | 'NOT_DEFINED'
  /** The budget selects calls by conditions, or is suspended, resumed or raised, and has no `enforcement`. */
  | 'NO_ENFORCEMENT'
  /** The scope of a budget cannot be changed. */
  | 'SCOPE_FIXED'
  /** As many budgets, raises, delegations or changes of the period exist as may be. */
  | 'TOO_MANY'
  /** With the budget, more than 24 could apply to one call. */
  | 'TOO_MANY_APPLYING'
  /** There are more than 16 thresholds. */
  | 'TOO_MANY_THRESHOLDS'
  /** The agent of the scope is not registered. */
  | 'UNKNOWN_AGENT'
  /** The budget has no delegation with the id that runs. */
  | 'UNKNOWN_DELEGATION'
  /** The user, the team or the API key of the scope does not exist. */
  | 'UNKNOWN_SUBJECT'
  /** The time zone is not in the IANA time zone database. */
  | 'UNKNOWN_TIME_ZONE'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** What happened to a budget. */
export type BudgetHistoryKind =
  /** It was closed. */
  | 'CLOSED'
  /** It was defined. */
  | 'DEFINED'
  /** A part of the limit of a period was delegated. */
  | 'DELEGATED'
  /** A delegation ended. */
  | 'DELEGATION_ENDED'
  /** A reservation was extended, or its call was sent. */
  | 'EXTENDED'
  /** A reservation was granted. */
  | 'GRANTED'
  /** Its limit was raised for a time. */
  | 'RAISED'
  /** A reservation was refused. */
  | 'REFUSED'
  /** It is enforced again. */
  | 'RESUMED'
  /** Its terms were changed. */
  | 'REVISED'
  /** Its enforcement was suspended. */
  | 'SUSPENDED';

/** Part of the history of a budget. */
export type BudgetHistoryPart =
  /** Reservations that were granted or extended. */
  | 'GRANTS'
  /** Reservations that the budget refused. */
  | 'REFUSALS'
  /** That the budget was defined, revised, suspended, resumed, raised or closed. */
  | 'TERMS';

/** What a budget counts. */
export type BudgetMeasure =
  /** The number of calls. */
  | 'CALLS'
  /** What calls use of a meter. */
  | 'METER'
  /** What calls cost, in US dollars. */
  | 'MONEY';

/** What a budget counts. Give exactly one. Default: money. */
export type BudgetMeasureInput =
  {   /** The number of calls. The value is always `true`. */
  calls: boolean; meter?: never; money?: never; }
  |  { calls?: never;   /** What calls use of this meter, in its unit. */
  meter: Meter; money?: never; }
  |  { calls?: never; meter?: never;   /** What calls cost, in US dollars. The value is always `true`. */
  money: boolean; };

/** What follows when a call does not fit into what is left of a hard budget. Give exactly one. */
export type BudgetOnRefusalInput =
  {   /**
   * An operator is asked to raise the limit by what the call may use. The value is the number of minutes, 1 to 10,080, after which
   * the request is denied if it was not answered; at the end of the period it is in any case.
   */
  askForApproval: number; degrade?: never; pauseAgent?: never; refuse?: never; }
  |  { askForApproval?: never;   /**
   * The refusal names the first of these models, at most 8, a call of which would fit. Of an empty list, the cheapest models of the
   * same provider that have a price, and cost less.
   */
  degrade: Array<string>; pauseAgent?: never; refuse?: never; }
  |  { askForApproval?: never; degrade?: never;   /** The agent of the call is paused. The value is always `true`. */
  pauseAgent: boolean; refuse?: never; }
  |  { askForApproval?: never; degrade?: never; pauseAgent?: never;   /** Nothing: the call is refused. The value is always `true`. */
  refuse: boolean; };

/** How often a period of a budget begins. */
export type BudgetPeriodUnit =
  /** Every day. */
  | 'DAY'
  /** Every hour of the local time. */
  | 'HOUR'
  /** Every month. */
  | 'MONTH'
  /** Every three months. */
  | 'QUARTER'
  /** Once: there is one period. */
  | 'TOTAL'
  /** Every seven days. */
  | 'WEEK'
  /** Every year. */
  | 'YEAR';

/** What follows when a call does not fit into what is left of a hard budget. */
export type BudgetRefusalPolicy =
  /** An operator is asked to raise the limit by what the call may use: `approvals`. */
  | 'ASK_FOR_APPROVAL'
  /** The refusal names a cheaper model, a call of which would fit. */
  | 'DEGRADE'
  /** The agent of the call is paused. */
  | 'PAUSE_AGENT'
  /** Nothing: the call is refused. */
  | 'REFUSE';

/** Scope of a budget: the calls that it counts. Give exactly one of these. */
export type BudgetScopeInput =
  {   /** Counts the calls of this agent. Global id or UUID. */
  agentId: string | number; conditions?: never; model?: never; tenant?: never; }
  |  { agentId?: never;   /** Counts the calls that have all of these values, 1 to 8, each of another dimension. The budget needs `enforcement`. */
  conditions: Array<BudgetConditionInput>; model?: never; tenant?: never; }
  |  { agentId?: never; conditions?: never;   /** Counts the calls of this model, from any provider: one line of at most 256 bytes. */
  model: string; tenant?: never; }
  |  { agentId?: never; conditions?: never; model?: never;   /** Counts all calls of the tenant. The value is always `true`. */
  tenant: boolean; };

/** Kind of the scope of a budget. */
export type BudgetScopeKind =
  /** The budget counts the calls of one agent. */
  | 'AGENT'
  /** The budget is not counted by calendar month: `control` says what it counts. */
  | 'CONDITIONS'
  /** The budget counts the calls of one model, from any provider. */
  | 'MODEL'
  /** The budget counts all calls of the tenant. */
  | 'TENANT';

/** Terms of a budget. */
export type BudgetTermsInput = {
  /**
   * A day on which a period begins in `timeZone`, such as `2024-01-15`: its day is 1 to 28. Weeks begin on its weekday, months
   * on its day, quarters and years on its day and month. Default: `2024-01-01`, a Monday.
   */
  anchor?: string | null | undefined;
  /** Whether what is left of a period, up to the limit, is added to the next one. Default: false. */
  carryOver?: boolean | null | undefined;
  /**
   * How strictly the budget is enforced when `reserveSpend` asks for it. Default: the budget only counts money by calendar
   * month, and raises alerts.
   */
  enforcement?: BudgetEnforcement | null | undefined;
  /** Limit for each period, in US dollars or in the unit of `measure`. It must be greater than zero. */
  limit: string;
  /** What the budget counts. Default: money. */
  measure?: BudgetMeasureInput | null | undefined;
  /** Display name: one line of at most 256 bytes. */
  name: string;
  /** What follows when a call does not fit into what is left of a `HARD` budget. Default: it is refused. */
  onRefusal?: BudgetOnRefusalInput | null | undefined;
  /**
   * What happens to calls that the budget counts while Apex cannot be reached. A `HARD` one is always `CLOSED`. Default of others:
   * `OPEN`.
   */
  onUnreachable?: BudgetUnreachablePolicy | null | undefined;
  /**
   * Number of parts of each period, 1 to 8: each is a stream of its own, so that several servers reserve without waiting for each
   * other. It cannot be changed. Default: 1.
   */
  parts?: number | null | undefined;
  /** How often a period begins. A change is in force after the running period. Default: every month. */
  period?: BudgetPeriodUnit | null | undefined;
  /** Scope: the calls that the budget counts. */
  scope: BudgetScopeInput;
  /**
   * Thresholds at which alerts are raised, in percent of the limit: at most 16, each from 1 to 1000. Default: 50, 80 and
   * 100; none for a budget that is not of money by calendar month, of all calls, an agent or a model.
   */
  thresholds?: Array<number> | null | undefined;
  /** IANA name of the time zone in which months start, such as `Europe/Berlin`. Default: `UTC`. */
  timeZone?: string | null | undefined;
};

/** What happens to calls that a budget counts while Apex cannot be reached. */
export type BudgetUnreachablePolicy =
  /** They are not made. */
  | 'CLOSED'
  /** Clients and gateways may make them, if their own settings allow that. */
  | 'OPEN';

/** Reasons for which `setBudgetWatch` or `acknowledgeBudgetCondition` is rejected. */
export type BudgetWatchErrorCode =
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** The period of the budget has no end that a condition can refer to. */
  | 'NEEDS_END'
  /** There is no such budget with an `enforcement`, or it is closed. */
  | 'NOT_CONTROLLED'
  /** There is no such alert that is firing. */
  | 'NOT_FIRING'
  /** The tenant watches as many budgets as it may. */
  | 'TOO_MANY'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/**
 * Fields of a call to correct, with their values. A field that is not given is not corrected; null removes the value of a
 * field, for good.
 */
export type CallCorrection = {
  /** Global id or UUID of the agent that made the call. */
  agentId?: string | number | null | undefined;
  /** Conversation that the call is a part of: one line of at most 256 bytes. */
  conversation?: string | null | undefined;
  /** Global id or UUID of the task graph that the call was made for. */
  dagId?: string | number | null | undefined;
  /** Error with which the call failed: text of at most 64 KiB. */
  error?: string | null | undefined;
  /** Time from the start of the call to the first token of the response, in milliseconds, at most 30 days. */
  firstTokenMs?: number | null | undefined;
  /** Name or id of the API key that the call was made with, never the secret: one line of at most 256 bytes. */
  key?: string | null | undefined;
  /** Duration of the call, in milliseconds, at most 30 days. */
  latencyMs?: number | null | undefined;
  /** Model that served the call: one line of at most 256 bytes. */
  model?: string | null | undefined;
  /** How the call ended. */
  outcome?: CallOutcome | null | undefined;
  /** Provider that served the call: one line of at most 256 bytes. */
  provider?: string | null | undefined;
  /** Region that the call was served in: one line of at most 256 bytes. */
  region?: string | null | undefined;
  /** Cost that the reporting source states, in US dollars. It is informative and never charged. */
  reportedCost?: string | null | undefined;
  /** Where the reported cost comes from. It has no effect without `reportedCost`. */
  reportedCostSource?: CostSource | null | undefined;
  /** Id that the provider gave the request: one line of at most 256 bytes. */
  requestId?: string | null | undefined;
  /** Id that the provider gave the response: one line of at most 256 bytes. */
  responseId?: string | null | undefined;
  /** Service tier that the call was served in: one line of at most 256 bytes. */
  serviceTier?: string | null | undefined;
  /** Span that the call was. */
  span?: CallSpanInput | null | undefined;
  /** Speed that the call was served at: one line of at most 256 bytes. */
  speed?: string | null | undefined;
  /** Time at which the call started. */
  startedAt?: string | null | undefined;
  /** Tags of the call, at most 16. */
  tags?: Array<TagInput> | null | undefined;
  /** Global id or UUID of the task that the call was made for. */
  taskId?: string | number | null | undefined;
  /** Team that the call was made for: one line of at most 256 bytes. */
  team?: string | null | undefined;
  /** Tool that was called: one line of at most 256 bytes. */
  tool?: string | null | undefined;
  /** Usage of the call, all meters together. */
  usage?: UsageInput | null | undefined;
  /** User that the call was made for: one line of at most 256 bytes. */
  user?: string | null | undefined;
};

/** Reasons for which the report, correction or voiding of a call is rejected. */
export type CallErrorCode =
  /** There is no such reservation, it was refused, or another call settled it; or the call settled another one. */
  | 'BAD_RESERVATION'
  /** The cost cannot be represented exactly. */
  | 'CHARGE_OUT_OF_RANGE'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** The gateway passed one of the calls on that the report names, and another one was corrected. */
  | 'CORRECTED_APART'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** The latency is longer than 30 days. */
  | 'LATENCY_TOO_LONG'
  /** The reported cost is negative. */
  | 'NEGATIVE_COST'
  /** The correction names no field. */
  | 'NOTHING_TO_CORRECT'
  /** The call that should be corrected or voided was never reported, or is not counted any more. */
  | 'NOT_REPORTED'
  /** The call is one of a language model, and no model is known. */
  | 'NO_MODEL'
  /** The call is one of a tool, and no tool is known. */
  | 'NO_TOOL'
  /** The call was reported before with another kind. */
  | 'OTHER_KIND'
  /** The parts of a meter, such as reasoning tokens, are more than the meter that includes them, such as output tokens. */
  | 'PARTS_EXCEED_WHOLE'
  /** The gateway passed several of the calls on that the report names: each of them is a call of its own. */
  | 'PASSED_ON_APART'
  /** The call was charged by a later version of the price book than the server has read. Send the command again. */
  | 'PRICE_BOOK_OUTDATED'
  /** The call started before 1970 or after 2199. */
  | 'START_OUT_OF_RANGE'
  /**
   * The ids of the call were voided into others more than 32 times, or the report settles a reservation and ties more than 28
   * calls together.
   */
  | 'TOO_MANY_IDS'
  /** A command voided the call, for good: no report or correction changes anything of it. */
  | 'VOID'
  /** The call was voided into another one at the same moment. Send the command again. */
  | 'VOIDED'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Conditions on calls. A call must meet all conditions that are given. */
export type CallFilter = {
  /** Selects calls that this agent made. Global id or UUID. */
  agentId?: string | number | null | undefined;
  /** Selects calls of this conversation. */
  conversation?: string | null | undefined;
  /** Selects calls that started at or after this time. */
  from?: string | null | undefined;
  /** Selects calls of this kind. Default: any kind. */
  kind?: CallKind | null | undefined;
  /** Selects calls that this model served. */
  model?: string | null | undefined;
  /** Selects calls that ended in this way. */
  outcome?: CallOutcome | null | undefined;
  /** Selects calls that this provider served. */
  provider?: string | null | undefined;
  /** Selects calls that were made for this task. Global id or UUID. */
  taskId?: string | number | null | undefined;
  /** Selects calls that started before this time. */
  to?: string | null | undefined;
  /** Selects calls of this tool. */
  tool?: string | null | undefined;
  /** Selects calls of this trace: 32 hexadecimal digits. */
  traceId?: string | null | undefined;
  /** If true, selects only calls of language models for which no price is known. Default: false. */
  unpriced?: boolean | null | undefined;
};

/** Kind of a call. */
export type CallKind =
  /** A request to a language model. */
  | 'LLM'
  /** A request to a tool. */
  | 'TOOL';

/** How a call ended. */
export type CallOutcome =
  /** The caller cancelled the call. */
  | 'CANCELLED'
  /** The call failed. */
  | 'ERROR'
  /** The call returned a result. */
  | 'OK'
  /** The provider or a policy refused to serve the call. */
  | 'REFUSED'
  /** The caller gave up waiting for the result. */
  | 'TIMEOUT';

/** The span that a call was, with ids as in W3C Trace Context. */
export type CallSpanInput = {
  /** Id of the span that this one is a part of: 16 lower-case hexadecimal digits. Null for the root of a trace. */
  parentSpanId?: string | null | undefined;
  /** Id of the span: 16 lower-case hexadecimal digits. */
  spanId: string;
  /** Id of the trace: 32 lower-case hexadecimal digits. */
  traceId: string;
};

/** Input of `cancelTask`. */
export type CancelTaskInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the task. */
  id: string | number;
  /** Reason for the cancellation: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `closeBudget`. */
export type CloseBudgetInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the budget. */
  id: string | number;
};

/** Input of `closeTeam`. */
export type CloseTeamInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the team. */
  id: string | number;
  /** Reason for closing the team: text of at most 64 KiB, which is recorded. */
  reason?: string | null | undefined;
};

/** Outcome of a command. */
export type CommandOutcome =
  /** The object was in the requested state already. Nothing was written. */
  | 'ALREADY_DONE'
  /** The command was executed, and its events are durable. */
  | 'DONE'
  /**
   * A command with the same `commandId` was executed before. Nothing was written; `position` is the position of the
   * first execution.
   */
  | 'DUPLICATE'
  /** The command was rejected. Nothing was written; `error` has the reason. */
  | 'REJECTED';

/** Period that a report is compared with: `previous`, or `from` and `to`. */
export type ComparedPeriod = {
  /** Includes calls that started at or after this time, which must be the start of a quarter of an hour. */
  from?: string | null | undefined;
  /**
   * Whether it is the period before that of the report, in the calendar of its time zone: as many months before, if both of its
   * limits are the first midnight of a month, as many days before, if both are midnights, and else as much time before.
   */
  previous?: boolean | null | undefined;
  /** Includes calls that started before this time, which must be the start of a quarter of an hour. */
  to?: string | null | undefined;
};

/** Input of `completeTask`. */
export type CompleteTaskInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the task. */
  id: string | number;
  /** Result of the task: text of at most 64 KiB. */
  result?: string | null | undefined;
};

/** A size that must be exceeded. */
export type ContextSizeInput = {
  /** The size, which itself does not exceed it. */
  above: number;
  /**
   * Whether the component bills only the units of its meter above the size, up to the next higher size. If not, the
   * size is that of the prompt in tokens, cached tokens included, and the component bills the whole call. Default: false.
   */
  graduated?: boolean | null | undefined;
};

/** Input of `correctCall`. */
export type CorrectCallInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the call. */
  id: string | number;
  /** Reason for the correction: text of at most 64 KiB. */
  reason: string;
  /** The corrected fields. */
  values: CallCorrection;
};

/** Where a reported cost comes from. */
export type CostSource =
  /** The caller computed it, from prices of its own. */
  | 'CLIENT'
  /** A gateway between the caller and the provider computed it. */
  | 'GATEWAY'
  /** The provider stated it. */
  | 'PROVIDER';

/** Input of `createApiKey`. */
export type CreateApiKeyInput = {
  /** Binds the key to an agent: it reaches nothing that belongs to other agents. Global id or UUID. Default: not bound. */
  agentId?: string | number | null | undefined;
  /**
   * Idempotency key of the command: a UUID. A retry creates no second key, and does not return the secret again. Default: a
   * new one.
   */
  commandId?: string | null | undefined;
  /** How long the key is accepted. */
  lifetime: ApiKeyLifetimeInput;
  /** Permissions that the key has of those of its account. */
  scopes: ApiKeyScopesInput;
  /** Global id or UUID of the service account whose credential the key is. */
  serviceAccountId: string | number;
  /**
   * Binds the key to the agents of a team: it reaches nothing that belongs to other agents. Global id or UUID. It cannot be given
   * with `agentId`. Default: not bound.
   */
  teamId?: string | number | null | undefined;
};

/** Input of `createPasswordResetLink`. */
export type CreatePasswordResetLinkInput = {
  /**
   * Idempotency key of the command: a UUID. A retry creates no second link, and does not return the token again. Default: a
   * new one.
   */
  commandId?: string | null | undefined;
  /** How long the link is accepted, in seconds. Default: 86400, which is a day. */
  expiresInSeconds?: number | null | undefined;
  /** Global id or UUID of the user. */
  userId: string | number;
};

/** Input of `createServiceAccount`. */
export type CreateServiceAccountInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /**
   * What the account is for, such as `nightly-import`: one line of at most 256 bytes. It is recorded for ever: not the name
   * of a person.
   */
  name: string;
  /** Roles of the account in the tenant. Default: none. */
  roles?: Array<Role> | null | undefined;
};

/** Input of `createTeam`. */
export type CreateTeamInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** What the team is called: one line of at most 256 bytes. It is recorded for ever: not the name of a person. */
  name: string;
};

/** The currency of an amount, by its ISO 4217 code. */
export type Currency =
  /** United States dollar. */
  | 'USD';

/** Input of `defineAlertEndpoint`. */
export type DefineAlertEndpointInput = {
  /** Address. It is encrypted, stored beside the log, and not returned. */
  address: AlertAddressInput;
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /** UUIDs of the budgets whose alerts it is told, at most 50. Default: all budgets. */
  budgetIds?: Array<string> | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** UUID of the new endpoint. Default: derived from `commandId` if that is given, otherwise a new UUID. */
  endpointId?: string | null | undefined;
  /**
   * Version that the endpoints of the tenant must have, which is the number of their events. The command is
   * rejected with `WRONG_VERSION` if they have another one. Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Kind. */
  kind: AlertEndpointKind;
  /** Display name: one line of at most 256 bytes. */
  name: string;
  /** Why it is defined: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `defineBudget`. */
export type DefineBudgetInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Id of the new budget: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise
   * a new UUID.
   */
  id?: string | number | null | undefined;
  /** Terms of the budget. */
  terms: BudgetTermsInput;
};

/** Input of `defineRole`. */
export type DefineRoleInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** What the role is called: one line of at most 256 bytes. */
  name: string;
  /**
   * Permissions of the role, at least one, such as `read:agents`. One with `command:identities` is as much as the role
   * `ADMIN`: its holders can grant themselves every other permission in the tenant.
   */
  permissions: Array<string>;
};

/** Dimension by which a report groups or filters calls. */
export type Dimension =
  /** Agent that made the call. */
  | 'AGENT'
  /** Conversation that the call is a part of, by its id in the source. */
  | 'CONVERSATION'
  /** Task graph that the call was made for. */
  | 'DAG'
  /** Day on which the call started, such as `2023-11-14`. */
  | 'DAY'
  /**
   * Hour in which the call started, such as `2023-11-14T22:00Z`, or `2023-11-14T23:00+01:00` in a zone with another offset. The
   * two hours that clocks call the same at the end of daylight-saving time are two.
   */
  | 'HOUR'
  /** Name or id of the API key that the call was made with. */
  | 'KEY'
  /** Minute in which the call started, such as `2023-11-14T22:13Z`. No sums are kept by minutes: such a report reads the calls. */
  | 'MINUTE'
  /** Model that served the call. */
  | 'MODEL'
  /** Month in which the call started, such as `2023-11`. */
  | 'MONTH'
  /** How the call ended: `ok`, `error`, `timeout`, `cancelled` or `refused`. */
  | 'OUTCOME'
  /** Provider that served the call. */
  | 'PROVIDER'
  /** Quarter of a year in which the call started, such as `2023-Q4`. */
  | 'QUARTER'
  /** Quarter of an hour in which the call started, such as `2023-11-14T22:15Z`. A change of the clocks within it begins a new one. */
  | 'QUARTER_HOUR'
  /** Source of the first record of the call, such as `claude-code`. */
  | 'SOURCE'
  /**
   * Value of the tag with the key `tagKey` of the report. If the report is summed up from sums by the tag, null stands for
   * the calls that are not counted under the key: those without the tag, and those that were reported while the key was not
   * declared, and not since.
   */
  | 'TAG'
  /** Task that the call was made for. */
  | 'TASK'
  /** Team that the call was made for. */
  | 'TEAM'
  /** Tool that was called. */
  | 'TOOL'
  /** User that the call was made for, by an id that the source gives. */
  | 'USER'
  /** Week in which the call started, such as `2023-W46`: those of ISO 8601, which begin on Monday. */
  | 'WEEK'
  /** Year in which the call started, such as `2023`. */
  | 'YEAR';

/** Input of `disableServiceAccount`. */
export type DisableServiceAccountInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the service account. */
  id: string | number;
  /** Reason for disabling the account: text of at most 64 KiB, which is recorded. */
  reason?: string | null | undefined;
};

/** Input of `disableUser`. */
export type DisableUserInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the user. */
  id: string | number;
  /** Reason for disabling the user: text of at most 64 KiB, which is recorded for ever: not about the person. */
  reason?: string | null | undefined;
};

/** Input of `enableServiceAccount`. */
export type EnableServiceAccountInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the service account. */
  id: string | number;
};

/** Conditions on events. An event must meet all conditions that are given. */
export type EventFilter = {
  /** Selects events of this category, such as `task`. Default: any category. */
  category?: string | null | undefined;
  /** Selects events of this stream: the global id or UUID of an agent, task, call, memory or budget. */
  streamId?: string | number | null | undefined;
  /** Selects events of any of these types, such as `task.completed`, at most 100. Default: any type. */
  types?: Array<string> | null | undefined;
};

/** Input of `failTask`. */
export type FailTaskInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** Error with which the task failed: text of at most 64 KiB. */
  error: string;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the task. */
  id: string | number;
};

/** Method of forecasting costs. */
export type ForecastMethod =
  /** Level along the median slope between days (Theil and Sen), times a profile by weekday and hour. */
  | 'DRIFT'
  /** Level by exponential smoothing in state space, with no, an additive or a damped trend, times a profile by weekday and hour. */
  | 'ETS'
  /** The cost of the four weeks before, repeated; of fewer whole weeks if the history has no more. Naive. */
  | 'LAST_MONTH'
  /** The mean hour of the four weeks before, or of a shorter history. Naive. */
  | 'MOVING_AVERAGE'
  /** Level by robust exponential smoothing of days, times a profile by weekday and hour. */
  | 'SEASONAL';

/** Input of `forgetMemory`. */
export type ForgetMemoryInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the memory. */
  id: string | number;
  /** Reason for forgetting the memory: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `grantRole`. */
export type GrantRoleInput = {
  /**
   * Agent that the role is granted on: it holds for the agent, its tasks, calls and memories, and nothing else. Global id or
   * UUID. Default: the role is granted on the whole tenant.
   */
  agentId?: string | number | null | undefined;
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Who is granted the role. */
  holder: HolderInput;
  /** The role. */
  role: RoleInput;
  /**
   * Team on whose agents the role is granted: it holds for each agent that is in the team, its tasks, calls and memories, and
   * nothing else. Global id or UUID. It cannot be given with `agentId`. Default: the role is granted on the whole tenant.
   */
  teamId?: string | number | null | undefined;
};

/** Holder of a role. Give exactly one of the three. */
export type HolderInput =
  {   /** Global id or UUID of a service account. */
  serviceAccountId: string | number; teamId?: never; userId?: never; }
  |  { serviceAccountId?: never;   /** Global id or UUID of a team, whose members have the role. */
  teamId: string | number; userId?: never; }
  |  { serviceAccountId?: never; teamId?: never;   /** Global id or UUID of a user. */
  userId: string | number; };

/** Kind of holder of a role. */
export type HolderKind =
  /** A service account. */
  | 'SERVICE_ACCOUNT'
  /** A team, whose members have the role. */
  | 'TEAM'
  /** A user. */
  | 'USER';

/** Reasons for which a command about who may do what is rejected. */
export type IdentityErrorCode =
  /** The service account does not exist or is disabled. */
  | 'ACCOUNT_NOT_ACTIVE'
  /** The API key would be bound to an agent and to a team. */
  | 'AGENT_AND_TEAM'
  /** The agent that the role is granted on, or that is added to the team, is not registered. */
  | 'AGENT_NOT_REGISTERED'
  /** A service account, API key, team, custom role, user or invitation with other properties has this id. */
  | 'ALREADY_CREATED'
  /** The API key was already replaced by another one. */
  | 'ALREADY_ROTATED'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** Another user of the tenant has the e-mail address. */
  | 'EMAIL_TAKEN'
  /** The API key or invitation expired. */
  | 'EXPIRED'
  /** The API key, invitation or link would expire before it can be used. */
  | 'EXPIRES_TOO_SOON'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /**
   * No account or user of the tenant could decide who may do what any more. Make another one an admin first, or use the
   * command line.
   */
  | 'LAST_ADMIN'
  /** The state of the user or the invitation does not allow the command. */
  | 'NOT_ALLOWED'
  /**
   * No service account, API key, team, custom role, user or invitation with this id was created, or the role was never
   * granted to the holder.
   */
  | 'NOT_CREATED'
  /** The custom role would have no permission. */
  | 'NO_PERMISSIONS'
  /** The API key would have no permission. */
  | 'NO_SCOPES'
  /** The service account was disabled, the team closed or the role withdrawn before, for a different reason, which is kept. */
  | 'OTHER_REASON'
  /** A permission is not about the data of a tenant. */
  | 'PERMISSION_OUTSIDE_TENANT'
  /** The API key or invitation was revoked. */
  | 'REVOKED'
  /** The API key or invitation was revoked before, for a different reason, which is kept. */
  | 'REVOKED_OTHERWISE'
  /** The custom role does not exist or was withdrawn, which is final. */
  | 'ROLE_NOT_ACTIVE'
  /** The role is not one of a tenant. */
  | 'ROLE_OUTSIDE_TENANT'
  /** A scope is not a permission on the data of a tenant. */
  | 'SCOPE_OUTSIDE_TENANT'
  /**
   * The command was executed before, and the secret was returned then. It cannot be returned again: revoke the key or
   * the invitation, and create another one with a new `commandId`.
   */
  | 'SECRET_ALREADY_SHOWN'
  /** The team does not exist or was closed, which is final. */
  | 'TEAM_NOT_ACTIVE'
  /** The tenant does not exist or is suspended. */
  | 'TENANT_NOT_ACTIVE'
  /** The team has 500 agents, and no more may be added. */
  | 'TOO_MANY_AGENTS'
  /** The team or the custom role was changed as often as it may be: create another one. */
  | 'TOO_MANY_CHANGES'
  /** As many invitations of the tenant wait to be accepted as the settings of the server allow. */
  | 'TOO_MANY_INVITATIONS'
  /** The team has 500 members, and no more may be added. */
  | 'TOO_MANY_MEMBERS'
  /** The holder has 64 roles, and no more may be granted to it. */
  | 'TOO_MANY_ROLES'
  /** The account or the user is a member of 64 teams, and cannot join more. */
  | 'TOO_MANY_TEAMS'
  /** The user does not exist, or is disabled or deleted. */
  | 'USER_NOT_ACTIVE'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Input of `inviteUser`. */
export type InviteUserInput = {
  /**
   * Idempotency key of the command: a UUID. A retry creates no second invitation, and does not return the token again.
   * Default: a new one.
   */
  commandId?: string | null | undefined;
  /**
   * E-mail address of the person. It is stored beside the log, and can be erased. The invitation is mailed where the server
   * sends mail.
   */
  email: string;
  /** How long the invitation can be accepted, in seconds. Default: 604800, which is a week. */
  expiresInSeconds?: number | null | undefined;
  /** Roles that are granted to the user who accepts. Default: none. */
  roles?: Array<Role> | null | undefined;
};

/** How the name of a model matched a price. The first of these ways in which a price matches decides. */
export type MatchKind =
  /** The name is one of the other names of the price. */
  | 'ALIAS'
  /** The call names the model as the price does. */
  | 'EXACT'
  /** The names are equal once they are normalized: without paths, regions, versions and sizes, and in lower case. */
  | 'NORMALIZED'
  /** A pattern of the price matches the name. */
  | 'PATTERN';

/** Reasons for which a command to a memory is rejected. */
export type MemoryErrorCode =
  /** A different memory is stored under this id. */
  | 'ALREADY_STORED'
  /** The realm is narrower than the current one. A memory that was shared cannot be made private again. */
  | 'CANNOT_NARROW'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** The memory is forgotten. */
  | 'FORGOTTEN'
  /** The memory was forgotten before, for a different reason. */
  | 'FORGOTTEN_OTHERWISE'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** No memory with this id is stored. */
  | 'NOT_STORED'
  /** The memory is private to another agent. */
  | 'NOT_VISIBLE'
  /** There are more than 32 tags. */
  | 'TOO_MANY_TAGS'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Conditions on memories. A memory must meet all conditions that are given. Forgotten memories are never listed. */
export type MemoryFilter = {
  /** Selects memories in this realm. Default: any realm. */
  realm?: Realm | null | undefined;
  /**
   * Selects memories whose content matches this full-text search, in web search syntax:
   * `tea -coffee "green tea" or milk`. At most 1000 bytes. Takes the permission `read:contents`.
   */
  search?: string | null | undefined;
  /** Selects memories with this tag. */
  tag?: string | null | undefined;
  /**
   * Selects memories that this agent may see: its own, and those that are shared with the village or further. Global id
   * or UUID.
   */
  visibleTo?: string | number | null | undefined;
};

/** What the usage of a call is measured in, and what the components of a price bill. */
export type Meter =
  /** Tokens of audio in the prompt, which are part of the input tokens. */
  | 'AUDIO_INPUT'
  /** Tokens of generated audio, which are part of the output tokens. */
  | 'AUDIO_OUTPUT'
  /** Prompt tokens that were read from the provider's cache. */
  | 'CACHE_READ'
  /** Prompt tokens that were written to the provider's cache for 1 hour. */
  | 'CACHE_WRITE_1_HOUR'
  /** Prompt tokens that were written to the provider's cache for 5 minutes, or for a time that is not known. */
  | 'CACHE_WRITE_5_MIN'
  /** Characters of text, of models that are billed by them. */
  | 'CHARACTERS'
  /** Images that were generated and are billed one by one. */
  | 'IMAGES'
  /** Tokens of images in the prompt, which are part of the input tokens. */
  | 'IMAGE_INPUT'
  /** Tokens of generated images, which are part of the output tokens. */
  | 'IMAGE_OUTPUT'
  /** Prompt tokens that were neither read from nor written to the provider's cache. */
  | 'INPUT'
  /** Milliseconds of audio or video, of models that are billed by time. */
  | 'MEDIA_MS'
  /** Generated tokens, including reasoning tokens. */
  | 'OUTPUT'
  /** Reasoning tokens, which are part of the output tokens. */
  | 'REASONING'
  /** Requests that are billed one by one. */
  | 'REQUESTS'
  /** Searches of the web that the provider made for the call. */
  | 'SEARCHES';

/** What to do with a parked event. */
export type ParkedEventDecision =
  /** Apply the event and the rest of its stream again, after the cause was removed. */
  | 'RETRY'
  /** Skip the event for good and continue with its stream. A rebuild skips it too. */
  | 'SKIP';

/** Input of `pauseAgent`. */
export type PauseAgentInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the agent. */
  id: string | number;
  /** Reason for the pause: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Component of a price: the rate of one meter under some conditions. */
export type PriceComponentInput = {
  /** Meter whose units are billed. */
  meter: Meter;
  /** Number of units that the rate is for, at least 1. Default: 1,000,000 for meters of tokens, 1 for others. */
  per?: number | null | undefined;
  /** Rate in US dollars for `per` units, 0 or more. */
  rate: string;
  /** Conditions under which the component applies. Default: it always does. */
  when?: PriceConditionsInput | null | undefined;
};

/** Conditions under which a component of a price applies: all of them must be met. */
export type PriceConditionsInput = {
  /** Size that must be exceeded. Default: any size. */
  context?: ContextSizeInput | null | undefined;
  /** Region that the call was processed in, such as `eu`: one line of at most 256 bytes. Default: any. */
  region?: string | null | undefined;
  /** Service tier of the call, such as `batch`: one line of at most 256 bytes. Default: any. */
  serviceTier?: string | null | undefined;
  /** Speed of the call, such as `fast`: one line of at most 256 bytes. Default: any. */
  speed?: string | null | undefined;
  /** Time at which the call started. Default: any. */
  time?: TimeWindowInput | null | undefined;
};

/** Reasons for which `setPrices` and `setDiscounts` are rejected. */
export type PriceErrorCode =
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** The command has two different prices for the same provider, model and time. */
  | 'CONTRADICTION'
  /** The list of prices or discounts is empty. */
  | 'EMPTY'
  /** There are too many discounts, two of one name, or one that ends before it takes effect. */
  | 'INVALID_DISCOUNT'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /**
   * A price has no components or too many, components that contradict each other, or conditions that are not
   * valid.
   */
  | 'INVALID_PRICE'
  /** A rate is negative. */
  | 'NEGATIVE_RATE'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** A price: what one model of one provider costs from a date on. */
export type PriceInput = {
  /** Components, at least 1 and at most 64. Those of a meter differ in their conditions. */
  components: Array<PriceComponentInput>;
  /** Whether the price is one of the tenant's own contract, which precedes list prices and has no discount. Default: false. */
  contract?: boolean | null | undefined;
  /**
   * Time from which the price is effective, until `effectiveTo` or a later price for the same provider and model.
   * Calls that were charged already keep their cost.
   */
  effectiveFrom: string;
  /** Time at which the price ends, after `effectiveFrom`. Default: never. */
  effectiveTo?: string | null | undefined;
  /**
   * Whether the provider is the maker of the model, which then holds for all of its prices for the model. Calls that
   * name no provider are charged at the price of the maker. Default: false.
   */
  listPrice?: boolean | null | undefined;
  /** Name that the provider gives the model: one line of at most 256 bytes. */
  model: string;
  /** Other names under which calls name the model, at most 64, each one line of at most 256 bytes. Default: none. */
  names?: Array<string> | null | undefined;
  /**
   * Patterns of further names, at most 64, such as `gpt-5* !*-pro`: `*` is any number of characters, `?` any character,
   * `#` a digit, and patterns after `!` exclude names. A price that has the name itself precedes them. Default: none.
   */
  patterns?: Array<string> | null | undefined;
  /** Provider that sells the model, such as `openai`: one line of at most 256 bytes. */
  provider: string;
};

/** Input of `raiseBudget`. */
export type RaiseBudgetInput = {
  /** What is added to the limit, in its unit: greater than zero. */
  amount: string;
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the budget. */
  id: string | number;
  /** Why the limit is raised: text of at most 64 KiB. */
  reason: string;
  /** When the raise ends. */
  until: string;
};

/** Visibility of a memory. Each realm includes the previous one. */
export type Realm =
  /** Visible to other tenants too, over a bridge to them. */
  | 'BRIDGE'
  /** Visible to the agent that owns the memory only. */
  | 'PRIVATE'
  /** Visible to every agent of the tenant. */
  | 'VILLAGE';

/** Input of `redeliverAlerts`. */
export type RedeliverAlertsInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** UUID of a delivery that is a dead letter. Default: all dead letters of the endpoint. */
  deliveryId?: string | null | undefined;
  /** UUID of the endpoint. */
  endpointId: string;
  /**
   * Version that the endpoints of the tenant must have, which is the number of their events. The command is
   * rejected with `WRONG_VERSION` if they have another one. Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Why: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Reason for which a reservation is refused. */
export type RefusalReason =
  /** What was charged before the budget was defined is not counted yet. Try again in a moment. */
  | 'COUNTING'
  /** It does not fit into what is left of a budget. */
  | 'EXCEEDED'
  /** The budget selects calls by a value that neither the credential nor the request states: `dimension` names it. */
  | 'UNDECLARED'
  /** The model has no price, and the budget limits money. */
  | 'UNPRICED';

/** Input of `removeTeamMember`. */
export type RemoveTeamMemberInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the team. */
  id: string | number;
  /** The member. */
  member: TeamMemberInput;
};

/** Input of `renameTeam`. */
export type RenameTeamInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the team. */
  id: string | number;
  /** What the team is called from now on: one line of at most 256 bytes. It is recorded for ever: not the name of a person. */
  name: string;
};

/** Conditions on the calls that are charged again. A call must meet all conditions that are given. */
export type RepricingFilter = {
  /** Selects calls that started at or after this time. */
  from?: string | null | undefined;
  /** Selects calls of this model, as they name it. */
  model?: string | null | undefined;
  /** Selects calls that started before this time. */
  to?: string | null | undefined;
};

/** Input of `resumeAgent`. */
export type ResumeAgentInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the agent. */
  id: string | number;
};

/** Input of `resumeBudget`. */
export type ResumeBudgetInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the budget. */
  id: string | number;
  /** Why it is resumed: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `resumeParkedEvent`. The decision is recorded with the actor and the time. */
export type ResumeParkedEventInput = {
  /** What to do with the event. */
  decision: ParkedEventDecision;
  /** Position of the event. It must be the first parked event of its stream. */
  position: string;
  /** Name of the projection that parked the event. */
  projection: string;
  /** Reason for the decision. */
  reason: string;
};

/** Input of `retireAgent`. */
export type RetireAgentInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the agent. */
  id: string | number;
  /** Reason for the retirement: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `reviseBudget`. */
export type ReviseBudgetInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the budget. */
  id: string | number;
  /** Why the terms are changed: text of at most 64 KiB. */
  reason?: string | null | undefined;
  /** New terms, which replace all current ones. The scope cannot be changed. */
  terms: BudgetTermsInput;
};

/** Input of `revokeApiKey`. */
export type RevokeApiKeyInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the key. */
  id: string | number;
  /** Reason for revoking the key: text of at most 64 KiB, which is recorded. */
  reason?: string | null | undefined;
};

/** Input of `revokeInvitation`. */
export type RevokeInvitationInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the invitation. */
  id: string | number;
  /** Reason for revoking the invitation: text of at most 64 KiB, which is recorded for ever: not about a person. */
  reason?: string | null | undefined;
};

/** Input of `revokeRole`. */
export type RevokeRoleInput = {
  /** Agent that the role was granted on. Global id or UUID. Default: the role that was granted on the whole tenant. */
  agentId?: string | number | null | undefined;
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Who has the role. */
  holder: HolderInput;
  /** Reason for revoking the role: text of at most 64 KiB, which is recorded. */
  reason?: string | null | undefined;
  /** The role. */
  role: RoleInput;
  /**
   * Team on whose agents the role was granted. Global id or UUID. It cannot be given with `agentId`. Default: the role that was
   * granted on the whole tenant.
   */
  teamId?: string | number | null | undefined;
};

/** Named set of permissions in a tenant. */
export type Role =
  /** Manages everything in a tenant, and who may do what in it. */
  | 'ADMIN'
  /**
   * Works in a tenant as an agent does: takes tasks, reports calls, stores memories. It reads the objects of the agent that
   * its key is bound to.
   */
  | 'AGENT'
  /** Reads everything in a tenant, to examine it. */
  | 'AUDITOR'
  /** Manages budgets and prices in a tenant, and reads what was spent. */
  | 'BILLING'
  /** Operates agents, tasks, budgets and prices in a tenant. */
  | 'OPERATOR'
  /** Reads everything in a tenant but the texts that agents work with. */
  | 'VIEWER';

/** What of a tenant a role is granted on. */
export type RoleExtent =
  /** One agent, with its tasks, calls and memories. */
  | 'AGENT'
  /** The agents of a team, each with its tasks, calls and memories. */
  | 'TEAM'
  /** The whole tenant. */
  | 'TENANT';

/** Role to grant or revoke. Give exactly one of the two. */
export type RoleInput =
  {   /** Built-in role. */
  builtIn: Role; customId?: never; }
  |  { builtIn?: never;   /** Global id or UUID of a custom role. */
  customId: string | number; };

/** Input of `rotateAlertEndpointSecret`. */
export type RotateAlertEndpointSecretInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** UUID of the endpoint. */
  endpointId: string;
  /**
   * Version that the endpoints of the tenant must have, which is the number of their events. The command is
   * rejected with `WRONG_VERSION` if they have another one. Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /**
   * For how long deliveries are signed with the secret before too, in seconds: at most 604800, which is 7 days. Default:
   * 86400, which is a day.
   */
  overlapSeconds?: number | null | undefined;
  /** Why it is rotated: text of at most 64 KiB. */
  reason?: string | null | undefined;
};

/** Input of `rotateApiKey`. */
export type RotateApiKeyInput = {
  /**
   * Idempotency key of the command: a UUID. A retry creates no second key, and does not return the secret again. Default: a
   * new one.
   */
  commandId?: string | null | undefined;
  /** Global id or UUID of the key that is replaced. */
  id: string | number;
  /** How long the new key is accepted. It is not taken over from the key that is replaced. */
  lifetime: ApiKeyLifetimeInput;
  /** How long the key that is replaced is still accepted, in seconds. Default: 86400, which is a day. */
  overlapSeconds?: number | null | undefined;
};

/** Input of `setPrices`. */
export type SetPricesInput = {
  /**
   * Time at which the prices were set, which does not affect from when they are effective. Default: the current time
   * of the server.
   */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation, object or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the price book must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Prices to set, at least 1 and at most 10,000. */
  prices: Array<PriceInput>;
  /** Source of the prices: one line of at most 256 bytes. Default: `api`. */
  source?: string | null | undefined;
};

/** Input of `shareMemory`. */
export type ShareMemoryInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the memory. */
  id: string | number;
  /** New visibility, which must not be narrower than the current one. */
  realm: Realm;
};

/** Input of `silenceAlertEndpoint`. */
export type SilenceAlertEndpointInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** UUID of the endpoint. */
  endpointId: string;
  /**
   * Version that the endpoints of the tenant must have, which is the number of their events. The command is
   * rejected with `WRONG_VERSION` if they have another one. Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Why: text of at most 64 KiB. */
  reason?: string | null | undefined;
  /**
   * Until when alerts wait that wait already or are raised from now on, at most 30 days. Null or absent ends a silence: what
   * waits is delivered.
   */
  until?: string | null | undefined;
};

/** What a span is in the communication with other services. */
export type SpanKind =
  /** A request to another service. */
  | 'CLIENT'
  /** The handling of a message. */
  | 'CONSUMER'
  /** Work inside of a service. */
  | 'INTERNAL'
  /** The sending of a message, which is handled later. */
  | 'PRODUCER'
  /** The handling of a request. */
  | 'SERVER';

/** How a span ended. */
export type SpanStatus =
  /** The exporter says that it failed. */
  | 'ERROR'
  /** The exporter says that it succeeded. */
  | 'OK'
  /** The exporter does not say. */
  | 'UNSET';

/** Where a text of a span comes from. */
export type SpanTextSource =
  /** An attribute of the span. */
  | 'ATTRIBUTE'
  /** A record of a log that names the span. */
  | 'LOG_RECORD'
  /** An event of the span. */
  | 'SPAN_EVENT';

/** Input of `startTask`. */
export type StartTaskInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the task. */
  id: string | number;
};

/** Input of `storeMemory`. */
export type StoreMemoryInput = {
  /** Global id or UUID of the agent that owns the memory. */
  agentId: string | number;
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** Text to store, at most 64 KiB. */
  content: string;
  /**
   * Id of the new memory: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise
   * a new UUID.
   */
  id?: string | number | null | undefined;
  /** Tags by which the memory can be found, at most 32, each one line of at most 256 bytes. Default: none. */
  tags?: Array<string> | null | undefined;
};

/** Input of `submitTask`. */
export type SubmitTaskInput = {
  /** Global id or UUID of the agent that the task is assigned to. */
  agentId: string | number;
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** Global id or UUID of the DAG that the task is part of. Default: none. */
  dagId?: string | number | null | undefined;
  /**
   * Id of the new task: a UUID that the client chose. Default: derived from `commandId` if that is given, otherwise a
   * new UUID.
   */
  id?: string | number | null | undefined;
  /** Short description of the work: one line of at most 256 bytes. */
  title: string;
};

/** Input of `suspendBudget`. */
export type SuspendBudgetInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the budget. */
  id: string | number;
  /** Why it is suspended: text of at most 64 KiB. */
  reason: string;
};

/** A tag to attach to a call. */
export type TagInput = {
  /** Key of the tag: one line of at most 64 bytes. A key may occur once. */
  key: string;
  /** Value of the tag: one line of at most 256 bytes. */
  value: string;
};

/** Reasons for which a command to a task is rejected. */
export type TaskErrorCode =
  /** The status of the agent does not allow the command. */
  | 'AGENT_STOPPED'
  /** The task ended in the same way before, with a different result, error or reason. */
  | 'ALREADY_ENDED'
  /** The task was started before, under another `commandId`. */
  | 'ALREADY_STARTED'
  /** A different task was submitted under this id. */
  | 'ALREADY_SUBMITTED'
  /** The progress is not between 0 and 100 percent. */
  | 'BAD_PERCENT'
  /** The `commandId` was used before, for another mutation, object or input. Send the command under a new id. */
  | 'COMMAND_ID_REUSED'
  /** A field of the input is not valid; `field` names it. */
  | 'INVALID_INPUT'
  /** The status of the task does not allow the command. */
  | 'NOT_POSSIBLE'
  /** No task with this id was submitted. */
  | 'NOT_SUBMITTED'
  /** The agent of the task is not registered. */
  | 'UNKNOWN_AGENT'
  /** The object does not have the `expectedVersion`; `currentVersion` is the version that it has. */
  | 'WRONG_VERSION';

/** Conditions on tasks. A task must meet all conditions that are given. */
export type TaskFilter = {
  /** Selects tasks that are assigned to this agent. Global id or UUID. */
  agentId?: string | number | null | undefined;
  /** Selects tasks that are part of this DAG. Global id or UUID. */
  dagId?: string | number | null | undefined;
  /** Selects tasks with this status. Default: any status. */
  status?: TaskStatus | null | undefined;
};

/** Lifecycle status of a task. */
export type TaskStatus =
  /** The task was cancelled. */
  | 'CANCELLED'
  /** The task was completed. */
  | 'COMPLETED'
  /** The task failed. */
  | 'FAILED'
  /** The task was started and has not ended. */
  | 'RUNNING'
  /** The task waits to be started. */
  | 'SUBMITTED';

/** Input of `addTeamAgent` and `removeTeamAgent`. */
export type TeamAgentInput = {
  /** Global id or UUID of the agent. */
  agentId: string | number;
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the team. */
  id: string | number;
};

/** Member of a team. Give exactly one of the two. */
export type TeamMemberInput =
  {   /** Global id or UUID of a service account. */
  serviceAccountId: string | number; userId?: never; }
  |  { serviceAccountId?: never;   /** Global id or UUID of a user. */
  userId: string | number; };

/** Input of `testAlertEndpoint`. */
export type TestAlertEndpointInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns the
   * position of the first execution. A key that was used for another mutation or input is rejected with
   * `COMMAND_ID_REUSED`. Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /** UUID of the endpoint. */
  endpointId: string;
  /**
   * Version that the endpoints of the tenant must have, which is the number of their events. The command is
   * rejected with `WRONG_VERSION` if they have another one. Default: any version.
   */
  expectedVersion?: number | null | undefined;
};

/** A part of the day, on some days of the week. */
export type TimeWindowInput = {
  /** First minute, from `00:00` to `23:59`. */
  from: string;
  /** Minute after the last one. The window continues after midnight if it is not later than `from`. */
  to: string;
  /** Offset of the time zone from UTC, in minutes: at most 840. Default: 0. */
  utcOffsetMinutes?: number | null | undefined;
  /** Days of the week, from 1 for Monday to 7 for Sunday. Default: every day. */
  weekdays?: Array<number> | null | undefined;
};

/** Condition on one dimension of calls. */
export type UsageFilter = {
  /** The dimension. */
  dimension: Dimension;
  /**
   * Value that calls must have, as in the keys of a report; for agents, tasks and task graphs, their global id or UUID.
   * Null selects calls that have no value. It must be given, so that a variable without a value does not select them.
   */
  value?: string | null | undefined;
};

/**
 * Usage of a call, by meter. Default of each: 0. Meters must not overlap, unless one is described as a part of
 * another one: for providers that include cached tokens in the prompt, subtract them from `input`.
 */
export type UsageInput = {
  /** Tokens of audio in the prompt, which are part of the input tokens. */
  audioInput?: number | null | undefined;
  /** Tokens of generated audio, which are part of the output tokens. */
  audioOutput?: number | null | undefined;
  /** Prompt tokens that were read from the provider's cache. */
  cacheRead?: number | null | undefined;
  /** Prompt tokens that were written to the provider's cache for 1 hour. */
  cacheWrite1Hour?: number | null | undefined;
  /** Prompt tokens that were written to the provider's cache for 5 minutes, or for a time that is not known. */
  cacheWrite5Min?: number | null | undefined;
  /** Characters of text, of models that are billed by them. */
  characters?: number | null | undefined;
  /** Tokens of images in the prompt, which are part of the input tokens. */
  imageInput?: number | null | undefined;
  /** Tokens of generated images, which are part of the output tokens. */
  imageOutput?: number | null | undefined;
  /** Images that were generated and are billed one by one. */
  images?: number | null | undefined;
  /** Prompt tokens that were neither read from nor written to the provider's cache. */
  input?: number | null | undefined;
  /** Milliseconds of audio or video, of models that are billed by time. */
  mediaMs?: number | null | undefined;
  /** Generated tokens, including reasoning tokens. */
  output?: number | null | undefined;
  /** Reasoning tokens, which are part of the output tokens. */
  reasoning?: number | null | undefined;
  /** Requests that are billed one by one. */
  requests?: number | null | undefined;
  /** Searches of the web that the provider made for the call. */
  searches?: number | null | undefined;
};

/** Input of `enableUser` and of `eraseUser`. */
export type UserInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the user. */
  id: string | number;
};

/** How a user came to exist. */
export type UserSource =
  /** An administrator created the user. */
  | 'ADMIN'
  /** The user accepted an invitation. */
  | 'INVITATION'
  /** The user signed in by an identity provider that may create users. */
  | 'PROVIDER'
  /** The user registered without an invitation. */
  | 'REGISTRATION';

/** Input of `voidCall`. */
export type VoidCallInput = {
  /** Time at which this happened. Default: the current time of the server. */
  at?: string | null | undefined;
  /**
   * Idempotency key of the command. A retry with the same key and the same input changes nothing and returns
   * the position of the first execution. A key that was used for another mutation, object or input is rejected
   * with `COMMAND_ID_REUSED`; two mutations with one id that each create a new object are both executed.
   * Default: a new UUID.
   */
  commandId?: string | null | undefined;
  /**
   * Version that the object must have. The command is rejected with `WRONG_VERSION` if it has another one.
   * Default: any version.
   */
  expectedVersion?: number | null | undefined;
  /** Global id or UUID of the call. */
  id: string | number;
  /** Reason for which the call is voided: text of at most 64 KiB. */
  reason: string;
};

/** Condition of a budget that raises an alert. */
export type WatchCondition =
  /** The last whole hour cost more than the band in which its cost was expected. */
  | 'ANOMALY'
  /** Reservations are charged in full, because what was used is not known. */
  | 'ASSUMED'
  /**
   * The limit is spent more than 14.4 times as fast as it lasts, in a 720th part of the period (an hour of 30 days) and in a
   * twelfth of that.
   */
  | 'BURN_RATE_FAST'
  /**
   * The limit is spent more than 6 times as fast as it lasts, in a 120th part of the period (six hours of 30 days) and in a
   * twelfth of that.
   */
  | 'BURN_RATE_SLOW'
  /** Nothing is left: what is charged and reserved is at least the limit. */
  | 'EXHAUSTED'
  /** More than the limit will be charged at the end of the period, as forecast. */
  | 'FORECAST'
  /** Nothing was charged or reserved for `noDataMinutes`. */
  | 'NO_DATA'
  /** Calls that settled a reservation have no price. */
  | 'UNPRICED';

/** Input of `withdrawRole`. */
export type WithdrawRoleInput = {
  /** Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one. */
  commandId?: string | null | undefined;
  /** Global id or UUID of the custom role. */
  id: string | number;
  /** Reason for withdrawing the role: text of at most 64 KiB, which is recorded. */
  reason?: string | null | undefined;
};

export type AgentFieldsFragment = { id: string, uuid: string, name: string, kind: string | null, model: string | null, status: AgentStatus, reason: string | null, registeredAt: string, statusChangedAt: string, version: number, position: string, labels: Array<{ key: string, value: string }> };

export type TaskFieldsFragment = { id: string, uuid: string, title: string, status: TaskStatus, progressPercent: number, progressNote: string | null, outcome: string | null, submittedAt: string, startedAt: string | null, endedAt: string | null };

export type AgentsQueryVariables = Exact<{
  filter?: AgentFilter | null | undefined;
  first: number;
  after?: string | null | undefined;
  minPosition?: string | null | undefined;
}>;


export type AgentsQuery = { agents: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, name: string, kind: string | null, model: string | null, status: AgentStatus, reason: string | null, registeredAt: string, statusChangedAt: string, version: number, position: string, tasks: { nodes: Array<{ id: string, title: string, progressPercent: number }> }, labels: Array<{ key: string, value: string }> }> } };

export type AgentQueryVariables = Exact<{
  id: string | number;
  minPosition?: string | null | undefined;
}>;


export type AgentQuery = { agent: { id: string, uuid: string, name: string, kind: string | null, model: string | null, status: AgentStatus, reason: string | null, registeredAt: string, statusChangedAt: string, version: number, position: string, running: { nodes: Array<{ id: string, uuid: string, title: string, status: TaskStatus, progressPercent: number, progressNote: string | null, outcome: string | null, submittedAt: string, startedAt: string | null, endedAt: string | null }> }, waiting: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, uuid: string, title: string, status: TaskStatus, progressPercent: number, progressNote: string | null, outcome: string | null, submittedAt: string, startedAt: string | null, endedAt: string | null }> }, labels: Array<{ key: string, value: string }> } | null };

export type AgentTimelineQueryVariables = Exact<{
  id: string | number;
  last: number;
}>;


export type AgentTimelineQuery = { events: { pageInfo: { hasPreviousPage: boolean }, nodes: Array<{ id: string, position: string, type: string, recordedAt: string, payloadText: string | null }> } };

export type AgentCallsQueryVariables = Exact<{
  id: string | number;
  first: number;
}>;


export type AgentCallsQuery = { calls: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, uuid: string, kind: CallKind, provider: string | null, model: string | null, tool: string | null, outcome: CallOutcome | null, error: string | null, startedAt: string, latencyMs: number | null, cost: string | null, usage: { input: number, output: number } }> } };

export type AgentMemoriesQueryVariables = Exact<{
  id: string | number;
  first: number;
}>;


export type AgentMemoriesQuery = { memories: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, uuid: string, agentId: string, tags: Array<string>, content: string | null, storedAt: string, recalls: number }> } };

export type PauseAgentMutationVariables = Exact<{
  input: PauseAgentInput;
}>;


export type PauseAgentMutation = { pauseAgent: { outcome: CommandOutcome, position: string | null, error: { code: AgentErrorCode, message: string } | null } };

export type ResumeAgentMutationVariables = Exact<{
  input: ResumeAgentInput;
}>;


export type ResumeAgentMutation = { resumeAgent: { outcome: CommandOutcome, position: string | null, error: { code: AgentErrorCode, message: string } | null } };

export type ActivateAgentMutationVariables = Exact<{
  input: ActivateAgentInput;
}>;


export type ActivateAgentMutation = { activateAgent: { outcome: CommandOutcome, position: string | null, error: { code: AgentErrorCode, message: string } | null } };

export type RetireAgentMutationVariables = Exact<{
  input: RetireAgentInput;
}>;


export type RetireAgentMutation = { retireAgent: { outcome: CommandOutcome, position: string | null, error: { code: AgentErrorCode, message: string } | null } };

export type AgentResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: AgentErrorCode, message: string } | null };

export type AgentNamesQueryVariables = Exact<{
  first: number;
}>;


export type AgentNamesQuery = { agents: { nodes: Array<{ id: string, uuid: string, name: string }> } };

export type LogEventFragment = { id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string };

export type LogHeadQueryVariables = Exact<{ [key: string]: never; }>;


export type LogHeadQuery = { head: string };

export type EventsBeforeQueryVariables = Exact<{
  filter?: EventFilter | null | undefined;
  last: number;
  before: string;
}>;


export type EventsBeforeQuery = { events: { pageInfo: { hasPreviousPage: boolean }, nodes: Array<{ id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string }> } };

export type EventsAfterQueryVariables = Exact<{
  filter?: EventFilter | null | undefined;
  first: number;
  after: string;
}>;


export type EventsAfterQuery = { events: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string }> } };

export type LogEventsSubscriptionVariables = Exact<{
  after: string;
  filter?: EventFilter | null | undefined;
}>;


export type LogEventsSubscription = { events: { id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string } };

export type EventDetailQueryVariables = Exact<{
  id: string | number;
}>;


export type EventDetailQuery = { node:
    | { schemaVersion: number, contentHash: string, id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string }
    | Record<PropertyKey, never>
   | null };

export type EventPayloadQueryVariables = Exact<{
  id: string | number;
}>;


export type EventPayloadQuery = { node:
    | { id: string, payloadText: string | null }
    | Record<PropertyKey, never>
   | null };

export type StreamEndQueryVariables = Exact<{
  filter: EventFilter;
}>;


export type StreamEndQuery = { events: { nodes: Array<{ id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string }> } };

export type StreamEventAfterQueryVariables = Exact<{
  category: string;
  id: string | number;
  after: string;
}>;


export type StreamEventAfterQuery = { streamEvents: { nodes: Array<{ id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string }> } };

export type ObjectChangesQueryVariables = Exact<{
  category: string;
  id: string | number;
  from: string;
  to: string;
  first: number;
}>;


export type ObjectChangesQuery = { aggregateChanges: { isCut: boolean, before: { version: number, position: string } | null, after: { version: number, position: string, state: unknown }, fields: Array<{ path: string, before: unknown, after: unknown }>, events: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, position: string, category: string, streamId: string, version: number, eventId: string, type: string, recordedAt: string, metadataText: string }> } } | null };

export type BudgetQueryVariables = Exact<{
  id: string | number;
  minPosition?: string | null | undefined;
}>;


export type BudgetQuery = { budget: { id: string, uuid: string, name: string, limit: string, currency: Currency, timeZone: string, thresholds: Array<number>, closed: boolean, definedAt: string, version: number, position: string, scope: { kind: BudgetScopeKind, agentId: string | null, model: string | null }, months: Array<{ month: string, startsAt: string, endsAt: string, spent: string, remaining: string }>, control: { enforcement: BudgetEnforcement, measure: BudgetMeasure, meter: Meter | null, period: BudgetPeriodUnit, anchor: string, carryOver: boolean, parts: number, onUnreachable: BudgetUnreachablePolicy, suspended: boolean, conditions: Array<{ dimension: string, value: string }>, onRefusal: { policy: BudgetRefusalPolicy, models: Array<string>, minutes: number | null } } | null, alerts: Array<{ position: string, month: string, thresholdPercent: number, spent: string, limit: string, currency: Currency, raisedAt: string }> } | null };

export type BudgetPeriodAtQueryVariables = Exact<{
  id: string | number;
  at?: string | null | undefined;
}>;


export type BudgetPeriodAtQuery = { budgetPeriod: { startsAt: string, endsAt: string, limit: string, carried: string | null, charged: string, assumed: string, reserved: string, left: string, excess: string, delegated: string, wouldRefuse: number, unpriced: number, counted: boolean, crossedPercent: number | null, delegations: Array<{ uuid: string, agentId: string | null, dagId: string | null, amount: string, used: string, unused: string, until: string }>, pace: { perHour: string, exhaustsAt: string | null, secondsLeft: number | null } | null } | null };

export type BudgetPeriodNowSubscriptionVariables = Exact<{
  id: string | number;
}>;


export type BudgetPeriodNowSubscription = { budgetPeriod: { startsAt: string, endsAt: string, limit: string, carried: string | null, charged: string, assumed: string, reserved: string, left: string, excess: string, delegated: string, wouldRefuse: number, unpriced: number, counted: boolean, crossedPercent: number | null, delegations: Array<{ uuid: string, agentId: string | null, dagId: string | null, amount: string, used: string, unused: string, until: string }>, pace: { perHour: string, exhaustsAt: string | null, secondsLeft: number | null } | null } | null };

export type BudgetNamesQueryVariables = Exact<{
  first: number;
}>;


export type BudgetNamesQuery = { budgets: { nodes: Array<{ id: string, uuid: string, name: string, currency: Currency, control: { measure: BudgetMeasure, meter: Meter | null } | null }> } };

export type BudgetHistoryQueryVariables = Exact<{
  id: string | number;
  parts?: Array<BudgetHistoryPart> | BudgetHistoryPart | null | undefined;
  first: number;
  before?: string | null | undefined;
}>;


export type BudgetHistoryQuery = { budgetHistory: { next: string | null, entries: Array<{ position: string, recordedAt: string, actor: string | null, reason: string | null, kind: BudgetHistoryKind, limit: string | null, enforcement: BudgetEnforcement | null, amount: string | null, until: string | null, reservation: string | null, agentId: string | null, refusal: { reason: RefusalReason, dimension: string | null, left: string | null } | null }> } };

export type BudgetRefusalsQueryVariables = Exact<{
  id: string | number;
  first: number;
}>;


export type BudgetRefusalsQuery = { budgetRefusals: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ minute: string, reason: RefusalReason, dimension: string | null, agentId: string | null, apiKeyId: string | null, userId: string | null, refusals: number, position: string }> } };

export type ApprovalsQueryVariables = Exact<{
  first: number;
}>;


export type ApprovalsQuery = { approvals: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ uuid: string, status: ApprovalStatus, budgetId: string, agentId: string | null, model: string | null, amount: string, periodEndsAt: string, expiresAt: string, requestedAt: string, reason: string | null, answeredAt: string | null }> } };

export type ThresholdsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type ThresholdsQuery = { budgetThresholds: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ budgetId: string, startsAt: string, endsAt: string, thresholdPercent: number, spent: string, limit: string, position: string, crossedAt: string, status: AlertStatus }> } };

export type WatchesQueryVariables = Exact<{ [key: string]: never; }>;


export type WatchesQuery = { budgetWatches: Array<{ budgetId: string, alerts: Array<{ condition: WatchCondition, status: AlertStatus, balanceId: string, endsAt: string, termsVersion: number, sent: number, observed: string, reference: string, raisedAt: string, sentAt: string }> }> };

export type BudgetPreviewQueryVariables = Exact<{
  terms: BudgetTermsInput;
  month: string;
}>;


export type BudgetPreviewQuery = { budgetPreview: { from: string, to: string, calls: number, refusedCalls: number, refused: string, unpricedCalls: number, cutAfter: string | null, periods: Array<{ startsAt: string, endsAt: string, limit: string, grantedCalls: number, charged: string, refusedCalls: number, refused: string, unpricedCalls: number, firstRefusedAt: string | null }> } };

export type DefineBudgetMutationVariables = Exact<{
  input: DefineBudgetInput;
}>;


export type DefineBudgetMutation = { defineBudget: { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null } };

export type ReviseBudgetMutationVariables = Exact<{
  input: ReviseBudgetInput;
}>;


export type ReviseBudgetMutation = { reviseBudget: { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null } };

export type SuspendBudgetMutationVariables = Exact<{
  input: SuspendBudgetInput;
}>;


export type SuspendBudgetMutation = { suspendBudget: { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null } };

export type ResumeBudgetMutationVariables = Exact<{
  input: ResumeBudgetInput;
}>;


export type ResumeBudgetMutation = { resumeBudget: { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null } };

export type RaiseBudgetMutationVariables = Exact<{
  input: RaiseBudgetInput;
}>;


export type RaiseBudgetMutation = { raiseBudget: { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null } };

export type CloseBudgetMutationVariables = Exact<{
  input: CloseBudgetInput;
}>;


export type CloseBudgetMutation = { closeBudget: { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null } };

export type BudgetResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: BudgetErrorCode, message: string, field: string | null } | null, budget: { id: string, uuid: string } | null };

export type AnswerApprovalMutationVariables = Exact<{
  input: AnswerApprovalInput;
}>;


export type AnswerApprovalMutation = { answerApproval: { outcome: CommandOutcome, position: string | null, error: { code: ApprovalErrorCode, message: string, field: string | null } | null } };

export type AcknowledgeAlertMutationVariables = Exact<{
  input: AnswerAlertInput;
}>;


export type AcknowledgeAlertMutation = { acknowledgeAlert: { outcome: CommandOutcome, position: string | null, error: { code: AlertErrorCode, message: string, field: string | null } | null } };

export type ResolveAlertMutationVariables = Exact<{
  input: AnswerAlertInput;
}>;


export type ResolveAlertMutation = { resolveAlert: { outcome: CommandOutcome, position: string | null, error: { code: AlertErrorCode, message: string, field: string | null } | null } };

export type AcknowledgeConditionMutationVariables = Exact<{
  input: AcknowledgeBudgetConditionInput;
}>;


export type AcknowledgeConditionMutation = { acknowledgeBudgetCondition: { outcome: CommandOutcome, position: string | null, error: { code: BudgetWatchErrorCode, message: string, field: string | null } | null } };

export type BudgetsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type BudgetsQuery = { budgets: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, name: string, limit: string, currency: Currency, timeZone: string, thresholds: Array<number>, closed: boolean, scope: { kind: BudgetScopeKind, agentId: string | null, model: string | null }, months: Array<{ month: string, startsAt: string, endsAt: string, spent: string, remaining: string }>, control: { enforcement: BudgetEnforcement, measure: BudgetMeasure, meter: Meter | null, period: BudgetPeriodUnit, suspended: boolean, conditions: Array<{ dimension: string, value: string }> } | null }> } };

export type BudgetPeriodsQueryVariables = Exact<{
  first: number;
}>;


export type BudgetPeriodsQuery = { budgets: { nodes: Array<{ id: string, period: { startsAt: string, endsAt: string, limit: string, carried: string | null, charged: string, assumed: string, reserved: string, left: string, excess: string, delegated: string, wouldRefuse: number, unpriced: number, counted: boolean, crossedPercent: number | null, delegations: Array<{ uuid: string, agentId: string | null, dagId: string | null, amount: string, used: string, unused: string, until: string }>, pace: { perHour: string, exhaustsAt: string | null, secondsLeft: number | null } | null } | null }> } };

export type BudgetPeriodFragment = { startsAt: string, endsAt: string, limit: string, carried: string | null, charged: string, assumed: string, reserved: string, left: string, excess: string, delegated: string, wouldRefuse: number, unpriced: number, counted: boolean, crossedPercent: number | null, delegations: Array<{ uuid: string, agentId: string | null, dagId: string | null, amount: string, used: string, unused: string, until: string }>, pace: { perHour: string, exhaustsAt: string | null, secondsLeft: number | null } | null };

export type CallFieldsFragment = { id: string, uuid: string, kind: CallKind, agentId: string | null, taskId: string | null, dagId: string | null, provider: string | null, model: string | null, tool: string | null, team: string | null, user: string | null, key: string | null, conversation: string | null, source: string, outcome: CallOutcome | null, error: string | null, usageAssumed: boolean, startedAt: string, latencyMs: number | null, cost: string | null, tags: Array<{ key: string, value: string }>, usage: { input: number, output: number, cacheRead: number, cacheWrite5Min: number, cacheWrite1Hour: number } };

export type CallsQueryVariables = Exact<{
  filter?: CallFilter | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type CallsQuery = { calls: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, kind: CallKind, agentId: string | null, taskId: string | null, dagId: string | null, provider: string | null, model: string | null, tool: string | null, team: string | null, user: string | null, key: string | null, conversation: string | null, source: string, outcome: CallOutcome | null, error: string | null, usageAssumed: boolean, startedAt: string, latencyMs: number | null, cost: string | null, tags: Array<{ key: string, value: string }>, usage: { input: number, output: number, cacheRead: number, cacheWrite5Min: number, cacheWrite1Hour: number } }> } };

export type CallQueryVariables = Exact<{
  id: string | number;
  minPosition?: string | null | undefined;
}>;


export type CallQuery = { call: { serviceTier: string | null, speed: string | null, region: string | null, firstTokenMs: number | null, reportedCost: string | null, reportedCostSource: CostSource | null, recordId: string | null, responseId: string | null, requestId: string | null, correctedFields: Array<string>, version: number, position: string, id: string, uuid: string, kind: CallKind, agentId: string | null, taskId: string | null, dagId: string | null, provider: string | null, model: string | null, tool: string | null, team: string | null, user: string | null, key: string | null, conversation: string | null, source: string, outcome: CallOutcome | null, error: string | null, usageAssumed: boolean, startedAt: string, latencyMs: number | null, cost: string | null, allUsage: { input: number, output: number, cacheRead: number, cacheWrite5Min: number, cacheWrite1Hour: number, reasoning: number, audioInput: number, audioOutput: number, imageInput: number, imageOutput: number, images: number, requests: number, searches: number, mediaMs: number, characters: number }, agent: { id: string, uuid: string, name: string } | null, task: { id: string, uuid: string, title: string } | null, span: { traceId: string, spanId: string, parentSpanId: string | null } | null, price: { effectiveFrom: string, tier: string, bookVersion: number } | null, origins: Array<{ at: string, source: string, recordId: string | null, fields: Array<string> }>, receipt: { text: string, sourceVersion: number | null, unpriced: string | null, source: { name: string, licence: string | null, dated: string | null } | null, usage: Array<{ meter: Meter, quantity: number, units: number, billedAs: Meter | null, parts: Array<{ meter: Meter, quantity: number }> }>, charge: { amount: string, currency: Currency, bookVersion: number, effectiveFrom: string, seller: string | null, contract: boolean, unbilled: Array<Meter>, matched: { model: string, by: MatchKind, pattern: string | null } | null, discount: { name: string, percent: string } | null, lines: Array<{ meter: Meter, units: number, rate: string, per: number, cost: string }> } | null } | null, tags: Array<{ key: string, value: string }>, usage: { input: number, output: number, cacheRead: number, cacheWrite5Min: number, cacheWrite1Hour: number } } | null };

export type ReceiptFieldsFragment = { text: string, sourceVersion: number | null, unpriced: string | null, source: { name: string, licence: string | null, dated: string | null } | null, usage: Array<{ meter: Meter, quantity: number, units: number, billedAs: Meter | null, parts: Array<{ meter: Meter, quantity: number }> }>, charge: { amount: string, currency: Currency, bookVersion: number, effectiveFrom: string, seller: string | null, contract: boolean, unbilled: Array<Meter>, matched: { model: string, by: MatchKind, pattern: string | null } | null, discount: { name: string, percent: string } | null, lines: Array<{ meter: Meter, units: number, rate: string, per: number, cost: string }> } | null };

export type CorrectCallMutationVariables = Exact<{
  input: CorrectCallInput;
}>;


export type CorrectCallMutation = { correctCall: { outcome: CommandOutcome, position: string | null, error: { code: CallErrorCode, message: string } | null } };

export type VoidCallMutationVariables = Exact<{
  input: VoidCallInput;
}>;


export type VoidCallMutation = { voidCall: { outcome: CommandOutcome, position: string | null, error: { code: CallErrorCode, message: string } | null } };

export type CallResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: CallErrorCode, message: string } | null };

export type CostTotalsFragment = { assumedCalls: number, inputTokens: string, outputTokens: string, cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number };

export type CostBaseFragment = { cost: string | null, currency: Currency };

export type CostChangeFragment = { cost: string | null, costPercent: string | null };

export type CostReportQueryVariables = Exact<{
  by: Array<Dimension> | Dimension;
  filter?: Array<UsageFilter> | UsageFilter | null | undefined;
  tagKey?: string | null | undefined;
  timeZone: string;
  from: string;
  to?: string | null | undefined;
  top?: number | null | undefined;
  compare?: ComparedPeriod | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type CostReportQuery = { usageReport: { position: string, summedFrom: string, baseFrom: string | null, baseTo: string | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ isRest: boolean, keys: Array<{ dimension: Dimension, value: string | null, id: string | null, name: string | null }>, totals: { assumedCalls: number, inputTokens: string, outputTokens: string, cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number }, base: { cost: string | null, currency: Currency } | null, change: { cost: string | null, costPercent: string | null } | null }>, total: { assumedCalls: number, inputTokens: string, outputTokens: string, cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number }, base: { cost: string | null, currency: Currency } | null, change: { cost: string | null, costPercent: string | null } | null } };

export type CostPeriodsQueryVariables = Exact<{
  by: Array<Dimension> | Dimension;
  filter?: Array<UsageFilter> | UsageFilter | null | undefined;
  tagKey?: string | null | undefined;
  timeZone: string;
  from: string;
  to?: string | null | undefined;
  first: number;
}>;


export type CostPeriodsQuery = { usageReport: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ keys: Array<{ value: string | null }>, totals: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } }> } };

export type CostTopQueryVariables = Exact<{
  by: Array<Dimension> | Dimension;
  filter?: Array<UsageFilter> | UsageFilter | null | undefined;
  tagKey?: string | null | undefined;
  timeZone: string;
  from: string;
  to?: string | null | undefined;
  top: number;
  first: number;
}>;


export type CostTopQuery = { usageReport: { nodes: Array<{ isRest: boolean, keys: Array<{ value: string | null, name: string | null }> }> } };

export type CostStackQueryVariables = Exact<{
  step: Dimension;
  of: Dimension;
  filter?: Array<UsageFilter> | UsageFilter | null | undefined;
  ofFilter?: Array<UsageFilter> | UsageFilter | null | undefined;
  tagKey?: string | null | undefined;
  ofTagKey?: string | null | undefined;
  timeZone: string;
  from: string;
  to?: string | null | undefined;
  first: number;
}>;


export type CostStackQuery = { all: { nodes: Array<{ keys: Array<{ value: string | null }>, totals: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } }> }, parts: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ keys: Array<{ value: string | null }>, totals: { cost: string | null } }> } };

export type TagKeysQueryVariables = Exact<{ [key: string]: never; }>;


export type TagKeysQuery = { tagKeys: Array<{ key: string }> };

export type IdentityErrorFragment = { code: IdentityErrorCode, message: string };

export type HolderNamesQueryVariables = Exact<{
  first: number;
}>;


export type HolderNamesQuery = { serviceAccounts: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, name: string, disabled: boolean }> }, users: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, email: string | null, displayName: string | null, disabled: boolean }> }, teams: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, name: string, closed: boolean }> } };

export type RoleDefinitionsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type RoleDefinitionsQuery = { roles: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ builtIn: Role | null, name: string, permissions: Array<string>, custom: { id: string, uuid: string, permissions: Array<string>, withdrawn: boolean } | null }> } };

export type ServiceAccountsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type ServiceAccountsQuery = { serviceAccounts: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, name: string, disabled: boolean, roles: Array<Role>, customRoleIds: Array<string> }> } };

export type ApiKeysQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type ApiKeysQuery = { apiKeys: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, serviceAccountId: string, agentId: string | null, teamId: string | null, expiresAt: string | null, revoked: boolean, lastUsedHour: string | null, scopes: { all: boolean, only: Array<string> | null } }> } };

export type CreateServiceAccountMutationVariables = Exact<{
  input: CreateServiceAccountInput;
}>;


export type CreateServiceAccountMutation = { createServiceAccount: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null, serviceAccount: { id: string, uuid: string } | null } };

export type DisableServiceAccountMutationVariables = Exact<{
  input: DisableServiceAccountInput;
}>;


export type DisableServiceAccountMutation = { disableServiceAccount: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type EnableServiceAccountMutationVariables = Exact<{
  input: EnableServiceAccountInput;
}>;


export type EnableServiceAccountMutation = { enableServiceAccount: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type CreateApiKeyMutationVariables = Exact<{
  input: CreateApiKeyInput;
}>;


export type CreateApiKeyMutation = { createApiKey: { outcome: CommandOutcome, position: string | null, secret: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RotateApiKeyMutationVariables = Exact<{
  input: RotateApiKeyInput;
}>;


export type RotateApiKeyMutation = { rotateApiKey: { outcome: CommandOutcome, position: string | null, secret: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RevokeApiKeyMutationVariables = Exact<{
  input: RevokeApiKeyInput;
}>;


export type RevokeApiKeyMutation = { revokeApiKey: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type UsersQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type UsersQuery = { users: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, email: string | null, displayName: string | null, source: UserSource, createdAt: string, disabled: boolean, hasPassword: boolean, codesRequired: boolean, signInProviders: Array<string>, roles: Array<Role>, customRoleIds: Array<string>, resetRequestedAt: string | null }> } };

export type InvitationsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type InvitationsQuery = { invitations: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, email: string | null, roles: Array<Role>, createdAt: string, expiresAt: string, acceptedById: string | null, revoked: boolean }> } };

export type InviteUserMutationVariables = Exact<{
  input: InviteUserInput;
}>;


export type InviteUserMutation = { inviteUser: { outcome: CommandOutcome, position: string | null, token: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RevokeInvitationMutationVariables = Exact<{
  input: RevokeInvitationInput;
}>;


export type RevokeInvitationMutation = { revokeInvitation: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type DisableUserMutationVariables = Exact<{
  input: DisableUserInput;
}>;


export type DisableUserMutation = { disableUser: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type EnableUserMutationVariables = Exact<{
  input: UserInput;
}>;


export type EnableUserMutation = { enableUser: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type DisableOneTimeCodesMutationVariables = Exact<{
  input: UserInput;
}>;


export type DisableOneTimeCodesMutation = { disableOneTimeCodes: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type EraseUserMutationVariables = Exact<{
  input: UserInput;
}>;


export type EraseUserMutation = { eraseUser: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type CreatePasswordResetLinkMutationVariables = Exact<{
  input: CreatePasswordResetLinkInput;
}>;


export type CreatePasswordResetLinkMutation = { createPasswordResetLink: { outcome: CommandOutcome, position: string | null, token: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type TeamsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type TeamsQuery = { teams: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, name: string, closed: boolean, memberCount: number, agentCount: number }> } };

export type TeamQueryVariables = Exact<{
  id: string | number;
  first: number;
}>;


export type TeamQuery = { node:
    | { id: string, name: string, closed: boolean, members: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ kind: HolderKind, id: string, uuid: string, name: string | null, addedAt: string | null }> }, agents: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, uuid: string, addedAt: string | null }> } }
    | Record<PropertyKey, never>
   | null };

export type TeamResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null };

export type CreateTeamMutationVariables = Exact<{
  input: CreateTeamInput;
}>;


export type CreateTeamMutation = { createTeam: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RenameTeamMutationVariables = Exact<{
  input: RenameTeamInput;
}>;


export type RenameTeamMutation = { renameTeam: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type CloseTeamMutationVariables = Exact<{
  input: CloseTeamInput;
}>;


export type CloseTeamMutation = { closeTeam: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type AddTeamMemberMutationVariables = Exact<{
  input: AddTeamMemberInput;
}>;


export type AddTeamMemberMutation = { addTeamMember: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RemoveTeamMemberMutationVariables = Exact<{
  input: RemoveTeamMemberInput;
}>;


export type RemoveTeamMemberMutation = { removeTeamMember: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type AddTeamAgentMutationVariables = Exact<{
  input: TeamAgentInput;
}>;


export type AddTeamAgentMutation = { addTeamAgent: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RemoveTeamAgentMutationVariables = Exact<{
  input: TeamAgentInput;
}>;


export type RemoveTeamAgentMutation = { removeTeamAgent: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RoleAssignmentsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type RoleAssignmentsQuery = { roleAssignments: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ extent: RoleExtent, agentId: string | null, teamId: string | null, grantedAt: string, grantedBy: string, holder: { kind: HolderKind, id: string, uuid: string, name: string | null }, role: { builtIn: Role | null, customId: string | null, name: string } }> } };

export type GrantRoleMutationVariables = Exact<{
  input: GrantRoleInput;
}>;


export type GrantRoleMutation = { grantRole: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type RevokeRoleMutationVariables = Exact<{
  input: RevokeRoleInput;
}>;


export type RevokeRoleMutation = { revokeRole: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type DefineRoleMutationVariables = Exact<{
  input: DefineRoleInput;
}>;


export type DefineRoleMutation = { defineRole: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type WithdrawRoleMutationVariables = Exact<{
  input: WithdrawRoleInput;
}>;


export type WithdrawRoleMutation = { withdrawRole: { outcome: CommandOutcome, position: string | null, error: { code: IdentityErrorCode, message: string } | null } };

export type PulseSubscriptionVariables = Exact<{
  from: string;
  intervalMs: number;
}>;


export type PulseSubscription = { usageTotals: { position: string, head: string, eventsBehind: number | null, secondsBehind: number | null, total: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } } };

export type AgentEventsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
  filter?: EventFilter | null | undefined;
}>;


export type AgentEventsSubscription = { events: { id: string, position: string, category: string, type: string, streamId: string, recordedAt: string } };

export type NewAlertsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type NewAlertsSubscription = { budgetAlerts: { position: string, budgetId: string, thresholdPercent: number, month: string, spent: string, limit: string, currency: Currency, raisedAt: string } };

export type MemoryFieldsFragment = { id: string, uuid: string, agentId: string, tags: Array<string>, realm: Realm, recalls: number, storedAt: string, recalledAt: string | null, forgottenAt: string | null, version: number, position: string, content?: string | null, agent: { uuid: string, name: string } | null };

export type MemoriesQueryVariables = Exact<{
  filter?: MemoryFilter | null | undefined;
  withContent: boolean;
  first: number;
  after?: string | null | undefined;
  minPosition?: string | null | undefined;
}>;


export type MemoriesQuery = { memories: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, agentId: string, tags: Array<string>, realm: Realm, recalls: number, storedAt: string, recalledAt: string | null, forgottenAt: string | null, version: number, position: string, content?: string | null, agent: { uuid: string, name: string } | null }> } };

export type MemoryQueryVariables = Exact<{
  id: string | number;
  withContent: boolean;
  minPosition?: string | null | undefined;
}>;


export type MemoryQuery = { memory: { id: string, uuid: string, agentId: string, tags: Array<string>, realm: Realm, recalls: number, storedAt: string, recalledAt: string | null, forgottenAt: string | null, version: number, position: string, content?: string | null, agent: { uuid: string, name: string } | null } | null };

export type MemoryHistoryQueryVariables = Exact<{
  id: string | number;
  withContent: boolean;
  first: number;
}>;


export type MemoryHistoryQuery = { streamEvents: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, version: number, position: string, type: string, recordedAt: string, metadata: unknown, payloadText?: string | null }> } };

export type MemoryResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: MemoryErrorCode, message: string } | null, memory: { id: string, uuid: string } | null };

export type StoreMemoryMutationVariables = Exact<{
  input: StoreMemoryInput;
}>;


export type StoreMemoryMutation = { storeMemory: { outcome: CommandOutcome, position: string | null, error: { code: MemoryErrorCode, message: string } | null, memory: { id: string, uuid: string } | null } };

export type ShareMemoryMutationVariables = Exact<{
  input: ShareMemoryInput;
}>;


export type ShareMemoryMutation = { shareMemory: { outcome: CommandOutcome, position: string | null, error: { code: MemoryErrorCode, message: string } | null, memory: { id: string, uuid: string } | null } };

export type ForgetMemoryMutationVariables = Exact<{
  input: ForgetMemoryInput;
}>;


export type ForgetMemoryMutation = { forgetMemory: { outcome: CommandOutcome, position: string | null, error: { code: MemoryErrorCode, message: string } | null, memory: { id: string, uuid: string } | null } };

export type ProjectionsQueryVariables = Exact<{ [key: string]: never; }>;


export type ProjectionsQuery = { projections: Array<{ name: string, position: string, lagEvents: number, updatedAt: string | null, parkedEvents: number, codeVersion: number, version: number | null, nextVersion: number | null, nextPosition: string | null, previousVersion: number | null }> };

export type ParkedEventsQueryVariables = Exact<{
  projection?: string | null | undefined;
}>;


export type ParkedEventsQuery = { parkedEvents: Array<{ projection: string, position: string, category: string, streamId: string, cause: string, attempts: number, parkedAt: string, lastAttemptAt: string }>, parkingDecisions: Array<{ projection: string, position: string, decision: ParkedEventDecision, actor: string, reason: string, decidedAt: string }> };

export type ResumeParkedEventMutationVariables = Exact<{
  input: ResumeParkedEventInput;
}>;


export type ResumeParkedEventMutation = { resumeParkedEvent: { applied: number, parked: number } };

export type AlertEndpointsQueryVariables = Exact<{ [key: string]: never; }>;


export type AlertEndpointsQuery = { alertEndpoints: Array<{ uuid: string, name: string, kind: AlertEndpointKind, host: string, budgetIds: Array<string>, signed: boolean, previousSecretUntil: string | null, silentUntil: string | null, changedAt: string, quietHours: { timeZone: string, days: Array<number>, fromMinute: number, minutes: number } | null, disabled: { cause: AlertEndpointDisabledCause, reason: string | null, at: string } | null }> };

export type AlertDeliveriesQueryVariables = Exact<{
  endpointId?: string | null | undefined;
  state?: AlertDeliveryState | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type AlertDeliveriesQuery = { alertDeliveries: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ uuid: string, endpointUuid: string, type: string, budgetUuid: string | null, thresholdPercent: number | null, state: AlertDeliveryState, attempts: number, error: string | null, createdAt: string, nextAttemptAt: string | null, finishedAt: string | null }> } };

export type EndpointResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null };

export type DefineAlertEndpointMutationVariables = Exact<{
  input: DefineAlertEndpointInput;
}>;


export type DefineAlertEndpointMutation = { defineAlertEndpoint: { secret: string | null, outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type RotateAlertEndpointSecretMutationVariables = Exact<{
  input: RotateAlertEndpointSecretInput;
}>;


export type RotateAlertEndpointSecretMutation = { rotateAlertEndpointSecret: { secret: string | null, outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type TestAlertEndpointMutationVariables = Exact<{
  input: TestAlertEndpointInput;
}>;


export type TestAlertEndpointMutation = { testAlertEndpoint: { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type EnableAlertEndpointMutationVariables = Exact<{
  input: AlertEndpointInput;
}>;


export type EnableAlertEndpointMutation = { enableAlertEndpoint: { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type DisableAlertEndpointMutationVariables = Exact<{
  input: AlertEndpointInput;
}>;


export type DisableAlertEndpointMutation = { disableAlertEndpoint: { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type RemoveAlertEndpointMutationVariables = Exact<{
  input: AlertEndpointInput;
}>;


export type RemoveAlertEndpointMutation = { removeAlertEndpoint: { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type SilenceAlertEndpointMutationVariables = Exact<{
  input: SilenceAlertEndpointInput;
}>;


export type SilenceAlertEndpointMutation = { silenceAlertEndpoint: { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type RedeliverAlertsMutationVariables = Exact<{
  input: RedeliverAlertsInput;
}>;


export type RedeliverAlertsMutation = { redeliverAlerts: { outcome: CommandOutcome, position: string | null, error: { code: AlertEndpointErrorCode, message: string } | null } };

export type SpendFragment = { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number };

export type SpendingQueryVariables = Exact<{
  dayFrom: string;
  monthFrom: string;
  burnFrom: string;
  burnTo: string;
}>;


export type SpendingQuery = { day: { position: string, total: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } }, month: { total: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } }, burn: { total: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } } };

export type ForecastQueryVariables = Exact<{
  timeZone: string;
}>;


export type ForecastQuery = { costForecast: { from: string, at: string, until: string, spent: string, expected: string, lower: string | null, upper: string | null, percent: number, method: ForecastMethod, unpricedCalls: number, currency: Currency } };

export type FleetQueryVariables = Exact<{ [key: string]: never; }>;


export type FleetQuery = { agentCounts: Array<{ status: AgentStatus, count: number }>, taskCounts: Array<{ status: TaskStatus, count: number }> };

export type PositionAtQueryVariables = Exact<{
  time: string;
}>;


export type PositionAtQuery = { positionAt: string };

export type AlertsQueryVariables = Exact<{
  after: string;
  first: number;
}>;


export type AlertsQuery = { budgetAlerts: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ position: string, budgetId: string, month: string, thresholdPercent: number, spent: string, limit: string, currency: Currency, raisedAt: string }> } };

export type SpendByTimeQueryVariables = Exact<{
  by: Array<Dimension> | Dimension;
  filter?: Array<UsageFilter> | UsageFilter | null | undefined;
  timeZone: string;
  from: string;
  to?: string | null | undefined;
  first: number;
}>;


export type SpendByTimeQuery = { usageReport: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ keys: Array<{ dimension: Dimension, value: string | null, id: string | null, name: string | null }>, totals: { cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } }> } };

export type PriceFieldsFragment = { provider: string, model: string, listPrice: boolean, names: Array<string>, patterns: Array<string>, contract: boolean, effectiveFrom: string, effectiveTo: string | null, currency: Currency, bookVersion: number, source: { name: string, licence: string | null, dated: string | null }, components: Array<{ meter: Meter, rate: string, per: number, when: { serviceTier: string | null, speed: string | null, region: string | null, context: { above: number, graduated: boolean } | null, time: { from: string, to: string, utcOffsetMinutes: number, weekdays: Array<number> } | null } | null }> };

export type PricesQueryVariables = Exact<{
  provider?: string | null | undefined;
  model?: string | null | undefined;
  asOfVersion?: number | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type PricesQuery = { prices: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ provider: string, model: string, listPrice: boolean, names: Array<string>, patterns: Array<string>, contract: boolean, effectiveFrom: string, effectiveTo: string | null, currency: Currency, bookVersion: number, source: { name: string, licence: string | null, dated: string | null }, components: Array<{ meter: Meter, rate: string, per: number, when: { serviceTier: string | null, speed: string | null, region: string | null, context: { above: number, graduated: boolean } | null, time: { from: string, to: string, utcOffsetMinutes: number, weekdays: Array<number> } | null } | null }> }> } };

export type DiscountsQueryVariables = Exact<{
  asOfVersion?: number | null | undefined;
}>;


export type DiscountsQuery = { discounts: Array<{ name: string, provider: string | null, models: string | null, percent: string, effectiveFrom: string, effectiveTo: string | null }> };

export type BookVersionsQueryVariables = Exact<{
  last: number;
  before?: string | null | undefined;
}>;


export type BookVersionsQuery = { events: { pageInfo: { hasPreviousPage: boolean, startCursor: string | null }, nodes: Array<{ id: string, version: number, position: string, type: string, recordedAt: string, metadata: unknown }> } };

export type UnpricedUsageQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type UnpricedUsageQuery = { usageReport: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ keys: Array<{ dimension: Dimension, value: string | null }>, totals: { calls: number, unpricedCalls: number, inputTokens: string, outputTokens: string } }>, total: { unpricedCalls: number } } };

export type SetPricesMutationVariables = Exact<{
  input: SetPricesInput;
}>;


export type SetPricesMutation = { setPrices: { outcome: CommandOutcome, position: string | null, bookVersion: number, error: { code: PriceErrorCode, message: string, field: string | null } | null } };

export type RepricingPartFragment = { calls: number, next: string | null, nextFrom: string | null, differences: Array<{ model: string | null, day: string, calls: number, unpricedBefore: number, before: string, after: string, difference: string, currency: Currency }>, unpriced: Array<{ model: string | null, provider: string | null, reason: string, calls: number, charged: number }>, failed: Array<{ call: string, message: string }> };

export type RepricingDryRunQueryVariables = Exact<{
  filter?: RepricingFilter | null | undefined;
  after?: string | null | undefined;
}>;


export type RepricingDryRunQuery = { repricing: { calls: number, next: string | null, nextFrom: string | null, differences: Array<{ model: string | null, day: string, calls: number, unpricedBefore: number, before: string, after: string, difference: string, currency: Currency }>, unpriced: Array<{ model: string | null, provider: string | null, reason: string, calls: number, charged: number }>, failed: Array<{ call: string, message: string }> } };

export type ViewerQueryVariables = Exact<{ [key: string]: never; }>;


export type ViewerQuery = { viewer: { actor: string, tenant: string, email: string | null, sessionId: string | null, displayName: string | null, permissions: Array<string> } };

export type RecordedCallsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
  filter?: EventFilter | null | undefined;
}>;


export type RecordedCallsSubscription = { events: { position: string, streamId: string } };

export type StartHeadQueryVariables = Exact<{ [key: string]: never; }>;


export type StartHeadQuery = { head: string };

export type RecordedCallQueryVariables = Exact<{
  id: string | number;
  minPosition?: string | null | undefined;
}>;


export type RecordedCallQuery = { call: { id: string, uuid: string, provider: string | null, model: string | null, tool: string | null, cost: string | null, startedAt: string, agent: { id: string, uuid: string, name: string } | null, usage: { input: number, output: number } } | null };

export type StartAccountMutationVariables = Exact<{
  input: CreateServiceAccountInput;
}>;


export type StartAccountMutation = { createServiceAccount: { outcome: CommandOutcome, error: { code: IdentityErrorCode, message: string, field: string | null } | null, serviceAccount: { id: string, uuid: string } | null } };

export type StartKeyMutationVariables = Exact<{
  input: CreateApiKeyInput;
}>;


export type StartKeyMutation = { createApiKey: { outcome: CommandOutcome, secret: string | null, error: { code: IdentityErrorCode, message: string, field: string | null } | null } };

export type TraceSpanFieldsFragment = { spanId: string, parentSpanId: string | null, depth: number, name: string | null, kind: SpanKind | null, startedAt: string | null, durationUs: number | null, status: SpanStatus, statusMessage: string | null, service: string | null, scope: string | null, agent: { id: string, uuid: string, name: string } | null, call: { id: string, uuid: string, kind: CallKind, model: string | null, tool: string | null, cost: string | null, usageAssumed: boolean, usage: { input: number, output: number, cacheRead: number, cacheWrite5Min: number, cacheWrite1Hour: number } } | null };

export type TraceQueryVariables = Exact<{
  id: string;
  first: number;
  after?: string | null | undefined;
}>;


export type TraceQuery = { trace: { traceId: string, startedAt: string | null, endedAt: string | null, durationUs: number | null, spanCount: number, isTruncated: boolean, spans: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, edges: Array<{ cursor: string, node: { spanId: string, parentSpanId: string | null, depth: number, name: string | null, kind: SpanKind | null, startedAt: string | null, durationUs: number | null, status: SpanStatus, statusMessage: string | null, service: string | null, scope: string | null, agent: { id: string, uuid: string, name: string } | null, call: { id: string, uuid: string, kind: CallKind, model: string | null, tool: string | null, cost: string | null, usageAssumed: boolean, usage: { input: number, output: number, cacheRead: number, cacheWrite5Min: number, cacheWrite1Hour: number } } | null } }> } } | null };

export type TraceTotalsQueryVariables = Exact<{
  id: string;
}>;


export type TraceTotalsQuery = { trace: { totals: { assumedCalls: number, inputTokens: string, outputTokens: string, cacheReadTokens: string, cacheWrite5MinTokens: string, cacheWrite1HourTokens: string, cost: string | null, currency: Currency, calls: number, toolCalls: number, failedCalls: number, unpricedCalls: number } | null } | null };

export type SpanTextsQueryVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type SpanTextsQuery = { trace: { spans: { nodes: Array<{ spanId: string, contents: { leftOutCount: number, texts: Array<{ source: SpanTextSource, event: string | null, occurredAt: string | null, name: string, text: string, totalBytes: number, isCut: boolean }> } | null }> } } | null };

export type WorkTaskFragment = { id: string, uuid: string, agentId: string, dagId: string | null, title: string, status: TaskStatus, progressPercent: number, submittedAt: string, startedAt: string | null, endedAt: string | null, version: number, position: string, agent: { uuid: string, name: string } | null };

export type WorkTasksQueryVariables = Exact<{
  filter?: TaskFilter | null | undefined;
  first: number;
  after?: string | null | undefined;
  minPosition?: string | null | undefined;
}>;


export type WorkTasksQuery = { tasks: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, agentId: string, dagId: string | null, title: string, status: TaskStatus, progressPercent: number, submittedAt: string, startedAt: string | null, endedAt: string | null, version: number, position: string, agent: { uuid: string, name: string } | null }> } };

export type WorkTaskByIdQueryVariables = Exact<{
  id: string | number;
  asOf?: AsOf | null | undefined;
  minPosition?: string | null | undefined;
  contents: boolean;
}>;


export type WorkTaskByIdQuery = { task: { progressNote?: string | null, outcome?: string | null, id: string, uuid: string, agentId: string, dagId: string | null, title: string, status: TaskStatus, progressPercent: number, submittedAt: string, startedAt: string | null, endedAt: string | null, version: number, position: string, agent: { uuid: string, name: string } | null } | null };

export type WorkTaskEventsQueryVariables = Exact<{
  id: string | number;
  last: number;
  contents: boolean;
}>;


export type WorkTaskEventsQuery = { events: { pageInfo: { hasPreviousPage: boolean }, nodes: Array<{ id: string, position: string, version: number, type: string, recordedAt: string, metadata: unknown, payloadText?: string | null }> } };

export type WorkTaskCallsQueryVariables = Exact<{
  id: string | number;
  first: number;
  after?: string | null | undefined;
}>;


export type WorkTaskCallsQuery = { calls: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, uuid: string, kind: CallKind, provider: string | null, model: string | null, tool: string | null, outcome: CallOutcome | null, error: string | null, startedAt: string, latencyMs: number | null, cost: string | null, position: string, usage: { input: number, output: number } }> } };

export type WorkCostFragment = { cost: string | null, currency: Currency, calls: number, toolCalls: number, unpricedCalls: number };

export type WorkCostsQueryVariables = Exact<{
  filter: Array<UsageFilter> | UsageFilter;
  first: number;
}>;


export type WorkCostsQuery = { usageReport: { nodes: Array<{ keys: Array<{ value: string | null }>, totals: { cost: string | null, currency: Currency, calls: number, toolCalls: number, unpricedCalls: number } }> } };

export type WorkTotalQueryVariables = Exact<{
  filter: Array<UsageFilter> | UsageFilter;
  knownAt?: AsOf | null | undefined;
}>;


export type WorkTotalQuery = { usageReport: { position: string, total: { cost: string | null, currency: Currency, calls: number, toolCalls: number, unpricedCalls: number } } };

export type SubmitTaskMutationVariables = Exact<{
  input: SubmitTaskInput;
}>;


export type SubmitTaskMutation = { submitTask: { outcome: CommandOutcome, position: string | null, error: { code: TaskErrorCode, message: string, field: string | null } | null, task: { id: string, uuid: string } | null } };

export type StartTaskMutationVariables = Exact<{
  input: StartTaskInput;
}>;


export type StartTaskMutation = { startTask: { outcome: CommandOutcome, position: string | null, error: { code: TaskErrorCode, message: string, field: string | null } | null, task: { id: string, uuid: string } | null } };

export type CompleteTaskMutationVariables = Exact<{
  input: CompleteTaskInput;
}>;


export type CompleteTaskMutation = { completeTask: { outcome: CommandOutcome, position: string | null, error: { code: TaskErrorCode, message: string, field: string | null } | null, task: { id: string, uuid: string } | null } };

export type FailTaskMutationVariables = Exact<{
  input: FailTaskInput;
}>;


export type FailTaskMutation = { failTask: { outcome: CommandOutcome, position: string | null, error: { code: TaskErrorCode, message: string, field: string | null } | null, task: { id: string, uuid: string } | null } };

export type CancelTaskMutationVariables = Exact<{
  input: CancelTaskInput;
}>;


export type CancelTaskMutation = { cancelTask: { outcome: CommandOutcome, position: string | null, error: { code: TaskErrorCode, message: string, field: string | null } | null, task: { id: string, uuid: string } | null } };

export type TaskResultFragment = { outcome: CommandOutcome, position: string | null, error: { code: TaskErrorCode, message: string, field: string | null } | null, task: { id: string, uuid: string } | null };

export const AgentFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Agent"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"labels"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"registeredAt"}},{"kind":"Field","name":{"kind":"Name","value":"statusChangedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}}]}}]} as unknown as DocumentNode<AgentFieldsFragment, unknown>;
export const TaskFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Task"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"progressPercent"}},{"kind":"Field","name":{"kind":"Name","value":"progressNote"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"submittedAt"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"endedAt"}}]}}]} as unknown as DocumentNode<TaskFieldsFragment, unknown>;
export const AgentResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<AgentResultFragment, unknown>;
export const LogEventFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<LogEventFragment, unknown>;
export const BudgetResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<BudgetResultFragment, unknown>;
export const BudgetPeriodFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetPeriod"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPeriodStatus"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"carried"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}},{"kind":"Field","name":{"kind":"Name","value":"assumed"}},{"kind":"Field","name":{"kind":"Name","value":"reserved"}},{"kind":"Field","name":{"kind":"Name","value":"left"}},{"kind":"Field","name":{"kind":"Name","value":"excess"}},{"kind":"Field","name":{"kind":"Name","value":"delegated"}},{"kind":"Field","name":{"kind":"Name","value":"delegations"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"used"}},{"kind":"Field","name":{"kind":"Name","value":"unused"}},{"kind":"Field","name":{"kind":"Name","value":"until"}}]}},{"kind":"Field","name":{"kind":"Name","value":"wouldRefuse"}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"}},{"kind":"Field","name":{"kind":"Name","value":"counted"}},{"kind":"Field","name":{"kind":"Name","value":"crossedPercent"}},{"kind":"Field","name":{"kind":"Name","value":"pace"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"perHour"}},{"kind":"Field","name":{"kind":"Name","value":"exhaustsAt"}},{"kind":"Field","name":{"kind":"Name","value":"secondsLeft"}}]}}]}}]} as unknown as DocumentNode<BudgetPeriodFragment, unknown>;
export const CallFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CallFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Call"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"taskId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"team"}},{"kind":"Field","name":{"kind":"Name","value":"user"}},{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"conversation"}},{"kind":"Field","name":{"kind":"Name","value":"source"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"error"}},{"kind":"Field","name":{"kind":"Name","value":"usageAssumed"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"latencyMs"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"tags"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"cacheRead"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5Min"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1Hour"}}]}}]}}]} as unknown as DocumentNode<CallFieldsFragment, unknown>;
export const ReceiptFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"ReceiptFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Receipt"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"text"}},{"kind":"Field","name":{"kind":"Name","value":"sourceVersion"}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"}},{"kind":"Field","name":{"kind":"Name","value":"source"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"licence"}},{"kind":"Field","name":{"kind":"Name","value":"dated"}}]}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"quantity"}},{"kind":"Field","name":{"kind":"Name","value":"units"}},{"kind":"Field","name":{"kind":"Name","value":"billedAs"}},{"kind":"Field","name":{"kind":"Name","value":"parts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"quantity"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"charge"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"bookVersion"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveFrom"}},{"kind":"Field","name":{"kind":"Name","value":"seller"}},{"kind":"Field","name":{"kind":"Name","value":"contract"}},{"kind":"Field","name":{"kind":"Name","value":"matched"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"by"}},{"kind":"Field","name":{"kind":"Name","value":"pattern"}}]}},{"kind":"Field","name":{"kind":"Name","value":"discount"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"percent"}}]}},{"kind":"Field","name":{"kind":"Name","value":"unbilled"}},{"kind":"Field","name":{"kind":"Name","value":"lines"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"units"}},{"kind":"Field","name":{"kind":"Name","value":"rate"}},{"kind":"Field","name":{"kind":"Name","value":"per"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}}]}}]}}]}}]} as unknown as DocumentNode<ReceiptFieldsFragment, unknown>;
export const CallResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CallResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"CallPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<CallResultFragment, unknown>;
export const SpendFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<SpendFragment, unknown>;
export const CostTotalsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CostTotals"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}},{"kind":"Field","name":{"kind":"Name","value":"assumedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"inputTokens"}},{"kind":"Field","name":{"kind":"Name","value":"outputTokens"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<CostTotalsFragment, unknown>;
export const CostBaseFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CostBase"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}}]}}]} as unknown as DocumentNode<CostBaseFragment, unknown>;
export const CostChangeFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CostChange"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageChange"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"costPercent"}}]}}]} as unknown as DocumentNode<CostChangeFragment, unknown>;
export const IdentityErrorFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<IdentityErrorFragment, unknown>;
export const TeamResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<TeamResultFragment, unknown>;
export const MemoryFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Memory"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"tags"}},{"kind":"Field","name":{"kind":"Name","value":"realm"}},{"kind":"Field","name":{"kind":"Name","value":"recalls"}},{"kind":"Field","name":{"kind":"Name","value":"storedAt"}},{"kind":"Field","name":{"kind":"Name","value":"recalledAt"}},{"kind":"Field","name":{"kind":"Name","value":"forgottenAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"content"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}}}]}]},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]} as unknown as DocumentNode<MemoryFieldsFragment, unknown>;
export const MemoryResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"MemoryPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"Field","name":{"kind":"Name","value":"memory"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<MemoryResultFragment, unknown>;
export const EndpointResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<EndpointResultFragment, unknown>;
export const PriceFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"PriceFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Price"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"listPrice"}},{"kind":"Field","name":{"kind":"Name","value":"names"}},{"kind":"Field","name":{"kind":"Name","value":"patterns"}},{"kind":"Field","name":{"kind":"Name","value":"contract"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveFrom"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveTo"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"bookVersion"}},{"kind":"Field","name":{"kind":"Name","value":"source"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"licence"}},{"kind":"Field","name":{"kind":"Name","value":"dated"}}]}},{"kind":"Field","name":{"kind":"Name","value":"components"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"rate"}},{"kind":"Field","name":{"kind":"Name","value":"per"}},{"kind":"Field","name":{"kind":"Name","value":"when"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"context"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"above"}},{"kind":"Field","name":{"kind":"Name","value":"graduated"}}]}},{"kind":"Field","name":{"kind":"Name","value":"serviceTier"}},{"kind":"Field","name":{"kind":"Name","value":"speed"}},{"kind":"Field","name":{"kind":"Name","value":"region"}},{"kind":"Field","name":{"kind":"Name","value":"time"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"from"}},{"kind":"Field","name":{"kind":"Name","value":"to"}},{"kind":"Field","name":{"kind":"Name","value":"utcOffsetMinutes"}},{"kind":"Field","name":{"kind":"Name","value":"weekdays"}}]}}]}}]}}]}}]} as unknown as DocumentNode<PriceFieldsFragment, unknown>;
export const RepricingPartFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"RepricingPart"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Repricing"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"differences"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"day"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedBefore"}},{"kind":"Field","name":{"kind":"Name","value":"before"}},{"kind":"Field","name":{"kind":"Name","value":"after"}},{"kind":"Field","name":{"kind":"Name","value":"difference"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}}]}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}}]}},{"kind":"Field","name":{"kind":"Name","value":"failed"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"call"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"Field","name":{"kind":"Name","value":"next"}},{"kind":"Field","name":{"kind":"Name","value":"nextFrom"}}]}}]} as unknown as DocumentNode<RepricingPartFragment, unknown>;
export const TraceSpanFieldsFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TraceSpanFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TraceSpan"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"spanId"}},{"kind":"Field","name":{"kind":"Name","value":"parentSpanId"}},{"kind":"Field","name":{"kind":"Name","value":"depth"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"durationUs"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"statusMessage"}},{"kind":"Field","name":{"kind":"Name","value":"service"}},{"kind":"Field","name":{"kind":"Name","value":"scope"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"call"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"usageAssumed"}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"cacheRead"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5Min"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1Hour"}}]}}]}}]}}]} as unknown as DocumentNode<TraceSpanFieldsFragment, unknown>;
export const WorkTaskFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"WorkTask"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Task"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"progressPercent"}},{"kind":"Field","name":{"kind":"Name","value":"submittedAt"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"endedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]} as unknown as DocumentNode<WorkTaskFragment, unknown>;
export const WorkCostFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"WorkCost"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<WorkCostFragment, unknown>;
export const TaskResultFragmentDoc = {"kind":"Document","definitions":[{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TaskPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<TaskResultFragment, unknown>;
export const AgentsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Agents"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"AgentFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"agents"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"AgentFields"}},{"kind":"Field","name":{"kind":"Name","value":"tasks"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}},{"kind":"Argument","name":{"kind":"Name","value":"status"},"value":{"kind":"EnumValue","value":"RUNNING"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"progressPercent"}}]}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Agent"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"labels"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"registeredAt"}},{"kind":"Field","name":{"kind":"Name","value":"statusChangedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}}]}}]} as unknown as DocumentNode<AgentsQuery, AgentsQueryVariables>;
export const AgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Agent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"agent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"AgentFields"}},{"kind":"Field","alias":{"kind":"Name","value":"running"},"name":{"kind":"Name","value":"tasks"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"5"}},{"kind":"Argument","name":{"kind":"Name","value":"status"},"value":{"kind":"EnumValue","value":"RUNNING"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskFields"}}]}}]}},{"kind":"Field","alias":{"kind":"Name","value":"waiting"},"name":{"kind":"Name","value":"tasks"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"50"}},{"kind":"Argument","name":{"kind":"Name","value":"status"},"value":{"kind":"EnumValue","value":"SUBMITTED"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskFields"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Agent"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"labels"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"registeredAt"}},{"kind":"Field","name":{"kind":"Name","value":"statusChangedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Task"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"progressPercent"}},{"kind":"Field","name":{"kind":"Name","value":"progressNote"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"submittedAt"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"endedAt"}}]}}]} as unknown as DocumentNode<AgentQuery, AgentQueryVariables>;
export const AgentTimelineDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"AgentTimeline"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"last"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"streamId"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"last"},"value":{"kind":"Variable","name":{"kind":"Name","value":"last"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasPreviousPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"payloadText"}}]}}]}}]}}]} as unknown as DocumentNode<AgentTimelineQuery, AgentTimelineQueryVariables>;
export const AgentCallsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"AgentCalls"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"calls"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"agentId"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"order"},"value":{"kind":"EnumValue","value":"NEWEST_FIRST"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"error"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"latencyMs"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}}]}}]}}]}}]}}]} as unknown as DocumentNode<AgentCallsQuery, AgentCallsQueryVariables>;
export const AgentMemoriesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"AgentMemories"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"memories"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"visibleTo"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"tags"}},{"kind":"Field","name":{"kind":"Name","value":"content"}},{"kind":"Field","name":{"kind":"Name","value":"storedAt"}},{"kind":"Field","name":{"kind":"Name","value":"recalls"}}]}}]}}]}}]} as unknown as DocumentNode<AgentMemoriesQuery, AgentMemoriesQueryVariables>;
export const PauseAgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"PauseAgent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"PauseAgentInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pauseAgent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"AgentResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<PauseAgentMutation, PauseAgentMutationVariables>;
export const ResumeAgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ResumeAgent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ResumeAgentInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"resumeAgent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"AgentResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<ResumeAgentMutation, ResumeAgentMutationVariables>;
export const ActivateAgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ActivateAgent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ActivateAgentInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"activateAgent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"AgentResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<ActivateAgentMutation, ActivateAgentMutationVariables>;
export const RetireAgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RetireAgent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RetireAgentInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"retireAgent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"AgentResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"AgentResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AgentPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<RetireAgentMutation, RetireAgentMutationVariables>;
export const AgentNamesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"AgentNames"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"agents"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]}}]} as unknown as DocumentNode<AgentNamesQuery, AgentNamesQueryVariables>;
export const LogHeadDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"LogHead"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"head"}}]}}]} as unknown as DocumentNode<LogHeadQuery, LogHeadQueryVariables>;
export const EventsBeforeDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"EventsBefore"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"EventFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"last"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"before"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"last"},"value":{"kind":"Variable","name":{"kind":"Name","value":"last"}}},{"kind":"Argument","name":{"kind":"Name","value":"before"},"value":{"kind":"Variable","name":{"kind":"Name","value":"before"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasPreviousPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<EventsBeforeQuery, EventsBeforeQueryVariables>;
export const EventsAfterDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"EventsAfter"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"EventFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<EventsAfterQuery, EventsAfterQueryVariables>;
export const LogEventsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"LogEvents"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"EventFilter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<LogEventsSubscription, LogEventsSubscriptionVariables>;
export const EventDetailDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"EventDetail"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"node"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}},{"kind":"Field","name":{"kind":"Name","value":"schemaVersion"}},{"kind":"Field","name":{"kind":"Name","value":"contentHash"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<EventDetailQuery, EventDetailQueryVariables>;
export const EventPayloadDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"EventPayload"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"node"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"payloadText"}}]}}]}}]}}]} as unknown as DocumentNode<EventPayloadQuery, EventPayloadQueryVariables>;
export const StreamEndDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"StreamEnd"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"EventFilter"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"last"},"value":{"kind":"IntValue","value":"1"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<StreamEndQuery, StreamEndQueryVariables>;
export const StreamEventAfterDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"StreamEventAfter"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"category"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"streamEvents"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"category"},"value":{"kind":"Variable","name":{"kind":"Name","value":"category"}}},{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<StreamEventAfterQuery, StreamEventAfterQueryVariables>;
export const ObjectChangesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"ObjectChanges"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"category"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"to"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"aggregateChanges"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"category"},"value":{"kind":"Variable","name":{"kind":"Name","value":"category"}}},{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"position"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"position"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"before"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}}]}},{"kind":"Field","name":{"kind":"Name","value":"after"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"state"}}]}},{"kind":"Field","name":{"kind":"Name","value":"fields"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"path"}},{"kind":"Field","name":{"kind":"Name","value":"before"}},{"kind":"Field","name":{"kind":"Name","value":"after"}}]}},{"kind":"Field","name":{"kind":"Name","value":"isCut"}},{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"LogEvent"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"LogEvent"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Event"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"eventId"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadataText"}}]}}]} as unknown as DocumentNode<ObjectChangesQuery, ObjectChangesQueryVariables>;
export const BudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Budget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"scope"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"model"}}]}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"timeZone"}},{"kind":"Field","name":{"kind":"Name","value":"thresholds"}},{"kind":"Field","name":{"kind":"Name","value":"closed"}},{"kind":"Field","name":{"kind":"Name","value":"definedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"months"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"month"}},{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"remaining"}}]}},{"kind":"Field","name":{"kind":"Name","value":"control"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"enforcement"}},{"kind":"Field","name":{"kind":"Name","value":"measure"}},{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"conditions"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"period"}},{"kind":"Field","name":{"kind":"Name","value":"anchor"}},{"kind":"Field","name":{"kind":"Name","value":"carryOver"}},{"kind":"Field","name":{"kind":"Name","value":"parts"}},{"kind":"Field","name":{"kind":"Name","value":"onRefusal"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"policy"}},{"kind":"Field","name":{"kind":"Name","value":"models"}},{"kind":"Field","name":{"kind":"Name","value":"minutes"}}]}},{"kind":"Field","name":{"kind":"Name","value":"onUnreachable"}},{"kind":"Field","name":{"kind":"Name","value":"suspended"}}]}},{"kind":"Field","name":{"kind":"Name","value":"alerts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"month"}},{"kind":"Field","name":{"kind":"Name","value":"thresholdPercent"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"raisedAt"}}]}}]}}]}}]} as unknown as DocumentNode<BudgetQuery, BudgetQueryVariables>;
export const BudgetPeriodAtDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BudgetPeriodAt"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"at"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetPeriod"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"at"},"value":{"kind":"Variable","name":{"kind":"Name","value":"at"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetPeriod"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetPeriod"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPeriodStatus"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"carried"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}},{"kind":"Field","name":{"kind":"Name","value":"assumed"}},{"kind":"Field","name":{"kind":"Name","value":"reserved"}},{"kind":"Field","name":{"kind":"Name","value":"left"}},{"kind":"Field","name":{"kind":"Name","value":"excess"}},{"kind":"Field","name":{"kind":"Name","value":"delegated"}},{"kind":"Field","name":{"kind":"Name","value":"delegations"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"used"}},{"kind":"Field","name":{"kind":"Name","value":"unused"}},{"kind":"Field","name":{"kind":"Name","value":"until"}}]}},{"kind":"Field","name":{"kind":"Name","value":"wouldRefuse"}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"}},{"kind":"Field","name":{"kind":"Name","value":"counted"}},{"kind":"Field","name":{"kind":"Name","value":"crossedPercent"}},{"kind":"Field","name":{"kind":"Name","value":"pace"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"perHour"}},{"kind":"Field","name":{"kind":"Name","value":"exhaustsAt"}},{"kind":"Field","name":{"kind":"Name","value":"secondsLeft"}}]}}]}}]} as unknown as DocumentNode<BudgetPeriodAtQuery, BudgetPeriodAtQueryVariables>;
export const BudgetPeriodNowDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"BudgetPeriodNow"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetPeriod"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetPeriod"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetPeriod"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPeriodStatus"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"carried"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}},{"kind":"Field","name":{"kind":"Name","value":"assumed"}},{"kind":"Field","name":{"kind":"Name","value":"reserved"}},{"kind":"Field","name":{"kind":"Name","value":"left"}},{"kind":"Field","name":{"kind":"Name","value":"excess"}},{"kind":"Field","name":{"kind":"Name","value":"delegated"}},{"kind":"Field","name":{"kind":"Name","value":"delegations"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"used"}},{"kind":"Field","name":{"kind":"Name","value":"unused"}},{"kind":"Field","name":{"kind":"Name","value":"until"}}]}},{"kind":"Field","name":{"kind":"Name","value":"wouldRefuse"}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"}},{"kind":"Field","name":{"kind":"Name","value":"counted"}},{"kind":"Field","name":{"kind":"Name","value":"crossedPercent"}},{"kind":"Field","name":{"kind":"Name","value":"pace"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"perHour"}},{"kind":"Field","name":{"kind":"Name","value":"exhaustsAt"}},{"kind":"Field","name":{"kind":"Name","value":"secondsLeft"}}]}}]}}]} as unknown as DocumentNode<BudgetPeriodNowSubscription, BudgetPeriodNowSubscriptionVariables>;
export const BudgetNamesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BudgetNames"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgets"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"control"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"measure"}},{"kind":"Field","name":{"kind":"Name","value":"meter"}}]}}]}}]}}]}}]} as unknown as DocumentNode<BudgetNamesQuery, BudgetNamesQueryVariables>;
export const BudgetHistoryDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BudgetHistory"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"parts"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetHistoryPart"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"before"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetHistory"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"parts"},"value":{"kind":"Variable","name":{"kind":"Name","value":"parts"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"before"},"value":{"kind":"Variable","name":{"kind":"Name","value":"before"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"next"}},{"kind":"Field","name":{"kind":"Name","value":"entries"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"actor"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"enforcement"}},{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"until"}},{"kind":"Field","name":{"kind":"Name","value":"reservation"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"refusal"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"left"}}]}}]}}]}}]}}]} as unknown as DocumentNode<BudgetHistoryQuery, BudgetHistoryQueryVariables>;
export const BudgetRefusalsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BudgetRefusals"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetRefusals"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"budgetId"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"minute"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"apiKeyId"}},{"kind":"Field","name":{"kind":"Name","value":"userId"}},{"kind":"Field","name":{"kind":"Name","value":"refusals"}},{"kind":"Field","name":{"kind":"Name","value":"position"}}]}}]}}]}}]} as unknown as DocumentNode<BudgetRefusalsQuery, BudgetRefusalsQueryVariables>;
export const ApprovalsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Approvals"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"approvals"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"budgetId"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"periodEndsAt"}},{"kind":"Field","name":{"kind":"Name","value":"expiresAt"}},{"kind":"Field","name":{"kind":"Name","value":"requestedAt"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"answeredAt"}}]}}]}}]}}]} as unknown as DocumentNode<ApprovalsQuery, ApprovalsQueryVariables>;
export const ThresholdsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Thresholds"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetThresholds"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetId"}},{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"thresholdPercent"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"crossedAt"}},{"kind":"Field","name":{"kind":"Name","value":"status"}}]}}]}}]}}]} as unknown as DocumentNode<ThresholdsQuery, ThresholdsQueryVariables>;
export const WatchesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Watches"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetWatches"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetId"}},{"kind":"Field","name":{"kind":"Name","value":"alerts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"condition"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"balanceId"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"termsVersion"}},{"kind":"Field","name":{"kind":"Name","value":"sent"}},{"kind":"Field","name":{"kind":"Name","value":"observed"}},{"kind":"Field","name":{"kind":"Name","value":"reference"}},{"kind":"Field","name":{"kind":"Name","value":"raisedAt"}},{"kind":"Field","name":{"kind":"Name","value":"sentAt"}}]}}]}}]}}]} as unknown as DocumentNode<WatchesQuery, WatchesQueryVariables>;
export const BudgetPreviewDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BudgetPreview"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"terms"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetTermsInput"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"month"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetPreview"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"terms"},"value":{"kind":"Variable","name":{"kind":"Name","value":"terms"}}},{"kind":"Argument","name":{"kind":"Name","value":"month"},"value":{"kind":"Variable","name":{"kind":"Name","value":"month"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"from"}},{"kind":"Field","name":{"kind":"Name","value":"to"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"refusedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"refused"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"cutAfter"}},{"kind":"Field","name":{"kind":"Name","value":"periods"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"grantedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}},{"kind":"Field","name":{"kind":"Name","value":"refusedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"refused"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"firstRefusedAt"}}]}}]}}]}}]} as unknown as DocumentNode<BudgetPreviewQuery, BudgetPreviewQueryVariables>;
export const DefineBudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DefineBudget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DefineBudgetInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"defineBudget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<DefineBudgetMutation, DefineBudgetMutationVariables>;
export const ReviseBudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ReviseBudget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ReviseBudgetInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"reviseBudget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<ReviseBudgetMutation, ReviseBudgetMutationVariables>;
export const SuspendBudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"SuspendBudget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"SuspendBudgetInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"suspendBudget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<SuspendBudgetMutation, SuspendBudgetMutationVariables>;
export const ResumeBudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ResumeBudget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ResumeBudgetInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"resumeBudget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<ResumeBudgetMutation, ResumeBudgetMutationVariables>;
export const RaiseBudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RaiseBudget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RaiseBudgetInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"raiseBudget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<RaiseBudgetMutation, RaiseBudgetMutationVariables>;
export const CloseBudgetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CloseBudget"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CloseBudgetInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"closeBudget"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"budget"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<CloseBudgetMutation, CloseBudgetMutationVariables>;
export const AnswerApprovalDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AnswerApproval"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AnswerApprovalInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"answerApproval"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}}]}}]}}]} as unknown as DocumentNode<AnswerApprovalMutation, AnswerApprovalMutationVariables>;
export const AcknowledgeAlertDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AcknowledgeAlert"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AnswerAlertInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"acknowledgeAlert"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}}]}}]}}]} as unknown as DocumentNode<AcknowledgeAlertMutation, AcknowledgeAlertMutationVariables>;
export const ResolveAlertDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ResolveAlert"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AnswerAlertInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"resolveAlert"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}}]}}]}}]} as unknown as DocumentNode<ResolveAlertMutation, ResolveAlertMutationVariables>;
export const AcknowledgeConditionDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AcknowledgeCondition"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AcknowledgeBudgetConditionInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"acknowledgeBudgetCondition"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}}]}}]}}]} as unknown as DocumentNode<AcknowledgeConditionMutation, AcknowledgeConditionMutationVariables>;
export const BudgetsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Budgets"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgets"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"scope"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"model"}}]}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"timeZone"}},{"kind":"Field","name":{"kind":"Name","value":"thresholds"}},{"kind":"Field","name":{"kind":"Name","value":"closed"}},{"kind":"Field","name":{"kind":"Name","value":"months"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"month"}},{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"remaining"}}]}},{"kind":"Field","name":{"kind":"Name","value":"control"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"enforcement"}},{"kind":"Field","name":{"kind":"Name","value":"measure"}},{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"period"}},{"kind":"Field","name":{"kind":"Name","value":"suspended"}},{"kind":"Field","name":{"kind":"Name","value":"conditions"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}}]}}]}}]}}]}}]} as unknown as DocumentNode<BudgetsQuery, BudgetsQueryVariables>;
export const BudgetPeriodsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BudgetPeriods"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgets"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"period"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"BudgetPeriod"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"BudgetPeriod"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"BudgetPeriodStatus"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startsAt"}},{"kind":"Field","name":{"kind":"Name","value":"endsAt"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"carried"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}},{"kind":"Field","name":{"kind":"Name","value":"assumed"}},{"kind":"Field","name":{"kind":"Name","value":"reserved"}},{"kind":"Field","name":{"kind":"Name","value":"left"}},{"kind":"Field","name":{"kind":"Name","value":"excess"}},{"kind":"Field","name":{"kind":"Name","value":"delegated"}},{"kind":"Field","name":{"kind":"Name","value":"delegations"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"used"}},{"kind":"Field","name":{"kind":"Name","value":"unused"}},{"kind":"Field","name":{"kind":"Name","value":"until"}}]}},{"kind":"Field","name":{"kind":"Name","value":"wouldRefuse"}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"}},{"kind":"Field","name":{"kind":"Name","value":"counted"}},{"kind":"Field","name":{"kind":"Name","value":"crossedPercent"}},{"kind":"Field","name":{"kind":"Name","value":"pace"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"perHour"}},{"kind":"Field","name":{"kind":"Name","value":"exhaustsAt"}},{"kind":"Field","name":{"kind":"Name","value":"secondsLeft"}}]}}]}}]} as unknown as DocumentNode<BudgetPeriodsQuery, BudgetPeriodsQueryVariables>;
export const CallsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Calls"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"CallFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"calls"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"order"},"value":{"kind":"EnumValue","value":"NEWEST_FIRST"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CallFields"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CallFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Call"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"taskId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"team"}},{"kind":"Field","name":{"kind":"Name","value":"user"}},{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"conversation"}},{"kind":"Field","name":{"kind":"Name","value":"source"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"error"}},{"kind":"Field","name":{"kind":"Name","value":"usageAssumed"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"latencyMs"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"tags"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"cacheRead"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5Min"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1Hour"}}]}}]}}]} as unknown as DocumentNode<CallsQuery, CallsQueryVariables>;
export const CallDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Call"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"call"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CallFields"}},{"kind":"Field","name":{"kind":"Name","value":"serviceTier"}},{"kind":"Field","name":{"kind":"Name","value":"speed"}},{"kind":"Field","name":{"kind":"Name","value":"region"}},{"kind":"Field","name":{"kind":"Name","value":"firstTokenMs"}},{"kind":"Field","name":{"kind":"Name","value":"reportedCost"}},{"kind":"Field","name":{"kind":"Name","value":"reportedCostSource"}},{"kind":"Field","name":{"kind":"Name","value":"recordId"}},{"kind":"Field","name":{"kind":"Name","value":"responseId"}},{"kind":"Field","name":{"kind":"Name","value":"requestId"}},{"kind":"Field","name":{"kind":"Name","value":"correctedFields"}},{"kind":"Field","alias":{"kind":"Name","value":"allUsage"},"name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"cacheRead"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5Min"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1Hour"}},{"kind":"Field","name":{"kind":"Name","value":"reasoning"}},{"kind":"Field","name":{"kind":"Name","value":"audioInput"}},{"kind":"Field","name":{"kind":"Name","value":"audioOutput"}},{"kind":"Field","name":{"kind":"Name","value":"imageInput"}},{"kind":"Field","name":{"kind":"Name","value":"imageOutput"}},{"kind":"Field","name":{"kind":"Name","value":"images"}},{"kind":"Field","name":{"kind":"Name","value":"requests"}},{"kind":"Field","name":{"kind":"Name","value":"searches"}},{"kind":"Field","name":{"kind":"Name","value":"mediaMs"}},{"kind":"Field","name":{"kind":"Name","value":"characters"}}]}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"title"}}]}},{"kind":"Field","name":{"kind":"Name","value":"span"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"traceId"}},{"kind":"Field","name":{"kind":"Name","value":"spanId"}},{"kind":"Field","name":{"kind":"Name","value":"parentSpanId"}}]}},{"kind":"Field","name":{"kind":"Name","value":"price"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"effectiveFrom"}},{"kind":"Field","name":{"kind":"Name","value":"tier"}},{"kind":"Field","name":{"kind":"Name","value":"bookVersion"}}]}},{"kind":"Field","name":{"kind":"Name","value":"origins"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"at"}},{"kind":"Field","name":{"kind":"Name","value":"source"}},{"kind":"Field","name":{"kind":"Name","value":"recordId"}},{"kind":"Field","name":{"kind":"Name","value":"fields"}}]}},{"kind":"Field","name":{"kind":"Name","value":"receipt"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"ReceiptFields"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CallFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Call"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"taskId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"team"}},{"kind":"Field","name":{"kind":"Name","value":"user"}},{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"conversation"}},{"kind":"Field","name":{"kind":"Name","value":"source"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"error"}},{"kind":"Field","name":{"kind":"Name","value":"usageAssumed"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"latencyMs"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"tags"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"cacheRead"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5Min"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1Hour"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"ReceiptFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Receipt"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"text"}},{"kind":"Field","name":{"kind":"Name","value":"sourceVersion"}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"}},{"kind":"Field","name":{"kind":"Name","value":"source"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"licence"}},{"kind":"Field","name":{"kind":"Name","value":"dated"}}]}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"quantity"}},{"kind":"Field","name":{"kind":"Name","value":"units"}},{"kind":"Field","name":{"kind":"Name","value":"billedAs"}},{"kind":"Field","name":{"kind":"Name","value":"parts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"quantity"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"charge"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"amount"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"bookVersion"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveFrom"}},{"kind":"Field","name":{"kind":"Name","value":"seller"}},{"kind":"Field","name":{"kind":"Name","value":"contract"}},{"kind":"Field","name":{"kind":"Name","value":"matched"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"by"}},{"kind":"Field","name":{"kind":"Name","value":"pattern"}}]}},{"kind":"Field","name":{"kind":"Name","value":"discount"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"percent"}}]}},{"kind":"Field","name":{"kind":"Name","value":"unbilled"}},{"kind":"Field","name":{"kind":"Name","value":"lines"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"units"}},{"kind":"Field","name":{"kind":"Name","value":"rate"}},{"kind":"Field","name":{"kind":"Name","value":"per"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}}]}}]}}]}}]} as unknown as DocumentNode<CallQuery, CallQueryVariables>;
export const CorrectCallDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CorrectCall"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CorrectCallInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"correctCall"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CallResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CallResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"CallPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<CorrectCallMutation, CorrectCallMutationVariables>;
export const VoidCallDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"VoidCall"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"VoidCallInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"voidCall"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CallResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CallResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"CallPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<VoidCallMutation, VoidCallMutationVariables>;
export const CostReportDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"CostReport"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"by"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Dimension"}}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"to"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"top"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"compare"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"ComparedPeriod"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"Variable","name":{"kind":"Name","value":"by"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"tagKey"},"value":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}}},{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}},{"kind":"Argument","name":{"kind":"Name","value":"top"},"value":{"kind":"Variable","name":{"kind":"Name","value":"top"}}},{"kind":"Argument","name":{"kind":"Name","value":"compare"},"value":{"kind":"Variable","name":{"kind":"Name","value":"compare"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"summedFrom"}},{"kind":"Field","name":{"kind":"Name","value":"baseFrom"}},{"kind":"Field","name":{"kind":"Name","value":"baseTo"}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"value"}},{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"isRest"}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CostTotals"}}]}},{"kind":"Field","name":{"kind":"Name","value":"base"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CostBase"}}]}},{"kind":"Field","name":{"kind":"Name","value":"change"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CostChange"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CostTotals"}}]}},{"kind":"Field","name":{"kind":"Name","value":"base"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CostBase"}}]}},{"kind":"Field","name":{"kind":"Name","value":"change"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"CostChange"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CostTotals"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}},{"kind":"Field","name":{"kind":"Name","value":"assumedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"inputTokens"}},{"kind":"Field","name":{"kind":"Name","value":"outputTokens"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CostBase"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"CostChange"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageChange"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"costPercent"}}]}}]} as unknown as DocumentNode<CostReportQuery, CostReportQueryVariables>;
export const CostPeriodsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"CostPeriods"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"by"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Dimension"}}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"to"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"Variable","name":{"kind":"Name","value":"by"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"tagKey"},"value":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}}},{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<CostPeriodsQuery, CostPeriodsQueryVariables>;
export const CostTopDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"CostTop"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"by"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Dimension"}}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"to"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"top"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"Variable","name":{"kind":"Name","value":"by"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"tagKey"},"value":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}}},{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}},{"kind":"Argument","name":{"kind":"Name","value":"top"},"value":{"kind":"Variable","name":{"kind":"Name","value":"top"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"value"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"isRest"}}]}}]}}]}}]} as unknown as DocumentNode<CostTopQuery, CostTopQueryVariables>;
export const CostStackDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"CostStack"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"step"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Dimension"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"of"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Dimension"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"ofFilter"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"ofTagKey"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"to"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","alias":{"kind":"Name","value":"all"},"name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"ListValue","values":[{"kind":"Variable","name":{"kind":"Name","value":"step"}}]}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"tagKey"},"value":{"kind":"Variable","name":{"kind":"Name","value":"tagKey"}}},{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}}]}}]}}]}},{"kind":"Field","alias":{"kind":"Name","value":"parts"},"name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"ListValue","values":[{"kind":"Variable","name":{"kind":"Name","value":"step"}},{"kind":"Variable","name":{"kind":"Name","value":"of"}}]}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"ofFilter"}}},{"kind":"Argument","name":{"kind":"Name","value":"tagKey"},"value":{"kind":"Variable","name":{"kind":"Name","value":"ofTagKey"}}},{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<CostStackQuery, CostStackQueryVariables>;
export const TagKeysDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"TagKeys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"tagKeys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}}]}}]}}]} as unknown as DocumentNode<TagKeysQuery, TagKeysQueryVariables>;
export const HolderNamesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"HolderNames"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"serviceAccounts"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"disabled"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"users"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"email"}},{"kind":"Field","name":{"kind":"Name","value":"displayName"}},{"kind":"Field","name":{"kind":"Name","value":"disabled"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"teams"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"closed"}}]}}]}}]}}]} as unknown as DocumentNode<HolderNamesQuery, HolderNamesQueryVariables>;
export const RoleDefinitionsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"RoleDefinitions"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"roles"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"builtIn"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"permissions"}},{"kind":"Field","name":{"kind":"Name","value":"custom"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"permissions"}},{"kind":"Field","name":{"kind":"Name","value":"withdrawn"}}]}}]}}]}}]}}]} as unknown as DocumentNode<RoleDefinitionsQuery, RoleDefinitionsQueryVariables>;
export const ServiceAccountsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"ServiceAccounts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"serviceAccounts"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"disabled"}},{"kind":"Field","name":{"kind":"Name","value":"roles"}},{"kind":"Field","name":{"kind":"Name","value":"customRoleIds"}}]}}]}}]}}]} as unknown as DocumentNode<ServiceAccountsQuery, ServiceAccountsQueryVariables>;
export const ApiKeysDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"ApiKeys"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"apiKeys"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"serviceAccountId"}},{"kind":"Field","name":{"kind":"Name","value":"scopes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"all"}},{"kind":"Field","name":{"kind":"Name","value":"only"}}]}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"teamId"}},{"kind":"Field","name":{"kind":"Name","value":"expiresAt"}},{"kind":"Field","name":{"kind":"Name","value":"revoked"}},{"kind":"Field","name":{"kind":"Name","value":"lastUsedHour"}}]}}]}}]}}]} as unknown as DocumentNode<ApiKeysQuery, ApiKeysQueryVariables>;
export const CreateServiceAccountDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreateServiceAccount"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreateServiceAccountInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createServiceAccount"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}},{"kind":"Field","name":{"kind":"Name","value":"serviceAccount"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<CreateServiceAccountMutation, CreateServiceAccountMutationVariables>;
export const DisableServiceAccountDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DisableServiceAccount"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DisableServiceAccountInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"disableServiceAccount"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<DisableServiceAccountMutation, DisableServiceAccountMutationVariables>;
export const EnableServiceAccountDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"EnableServiceAccount"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"EnableServiceAccountInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"enableServiceAccount"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<EnableServiceAccountMutation, EnableServiceAccountMutationVariables>;
export const CreateApiKeyDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreateApiKey"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreateApiKeyInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createApiKey"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}},{"kind":"Field","name":{"kind":"Name","value":"secret"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<CreateApiKeyMutation, CreateApiKeyMutationVariables>;
export const RotateApiKeyDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RotateApiKey"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RotateApiKeyInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"rotateApiKey"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}},{"kind":"Field","name":{"kind":"Name","value":"secret"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<RotateApiKeyMutation, RotateApiKeyMutationVariables>;
export const RevokeApiKeyDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RevokeApiKey"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RevokeApiKeyInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"revokeApiKey"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<RevokeApiKeyMutation, RevokeApiKeyMutationVariables>;
export const UsersDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Users"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"users"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"email"}},{"kind":"Field","name":{"kind":"Name","value":"displayName"}},{"kind":"Field","name":{"kind":"Name","value":"source"}},{"kind":"Field","name":{"kind":"Name","value":"createdAt"}},{"kind":"Field","name":{"kind":"Name","value":"disabled"}},{"kind":"Field","name":{"kind":"Name","value":"hasPassword"}},{"kind":"Field","name":{"kind":"Name","value":"codesRequired"}},{"kind":"Field","name":{"kind":"Name","value":"signInProviders"}},{"kind":"Field","name":{"kind":"Name","value":"roles"}},{"kind":"Field","name":{"kind":"Name","value":"customRoleIds"}},{"kind":"Field","name":{"kind":"Name","value":"resetRequestedAt"}}]}}]}}]}}]} as unknown as DocumentNode<UsersQuery, UsersQueryVariables>;
export const InvitationsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Invitations"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"invitations"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"email"}},{"kind":"Field","name":{"kind":"Name","value":"roles"}},{"kind":"Field","name":{"kind":"Name","value":"createdAt"}},{"kind":"Field","name":{"kind":"Name","value":"expiresAt"}},{"kind":"Field","name":{"kind":"Name","value":"acceptedById"}},{"kind":"Field","name":{"kind":"Name","value":"revoked"}}]}}]}}]}}]} as unknown as DocumentNode<InvitationsQuery, InvitationsQueryVariables>;
export const InviteUserDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"InviteUser"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"InviteUserInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"inviteUser"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}},{"kind":"Field","name":{"kind":"Name","value":"token"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<InviteUserMutation, InviteUserMutationVariables>;
export const RevokeInvitationDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RevokeInvitation"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RevokeInvitationInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"revokeInvitation"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<RevokeInvitationMutation, RevokeInvitationMutationVariables>;
export const DisableUserDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DisableUser"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DisableUserInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"disableUser"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<DisableUserMutation, DisableUserMutationVariables>;
export const EnableUserDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"EnableUser"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UserInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"enableUser"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<EnableUserMutation, EnableUserMutationVariables>;
export const DisableOneTimeCodesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DisableOneTimeCodes"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UserInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"disableOneTimeCodes"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<DisableOneTimeCodesMutation, DisableOneTimeCodesMutationVariables>;
export const EraseUserDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"EraseUser"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UserInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"eraseUser"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<EraseUserMutation, EraseUserMutationVariables>;
export const CreatePasswordResetLinkDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreatePasswordResetLink"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreatePasswordResetLinkInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createPasswordResetLink"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}},{"kind":"Field","name":{"kind":"Name","value":"token"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<CreatePasswordResetLinkMutation, CreatePasswordResetLinkMutationVariables>;
export const TeamsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Teams"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"teams"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"closed"}},{"kind":"Field","name":{"kind":"Name","value":"memberCount"}},{"kind":"Field","name":{"kind":"Name","value":"agentCount"}}]}}]}}]}}]} as unknown as DocumentNode<TeamsQuery, TeamsQueryVariables>;
export const TeamDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Team"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"node"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"InlineFragment","typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Team"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"closed"}},{"kind":"Field","name":{"kind":"Name","value":"members"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"addedAt"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"agents"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"addedAt"}}]}}]}}]}}]}}]}}]} as unknown as DocumentNode<TeamQuery, TeamQueryVariables>;
export const CreateTeamDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CreateTeam"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreateTeamInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createTeam"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<CreateTeamMutation, CreateTeamMutationVariables>;
export const RenameTeamDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RenameTeam"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RenameTeamInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"renameTeam"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<RenameTeamMutation, RenameTeamMutationVariables>;
export const CloseTeamDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CloseTeam"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CloseTeamInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"closeTeam"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<CloseTeamMutation, CloseTeamMutationVariables>;
export const AddTeamMemberDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AddTeamMember"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AddTeamMemberInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"addTeamMember"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<AddTeamMemberMutation, AddTeamMemberMutationVariables>;
export const RemoveTeamMemberDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RemoveTeamMember"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RemoveTeamMemberInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"removeTeamMember"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<RemoveTeamMemberMutation, RemoveTeamMemberMutationVariables>;
export const AddTeamAgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"AddTeamAgent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"TeamAgentInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"addTeamAgent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<AddTeamAgentMutation, AddTeamAgentMutationVariables>;
export const RemoveTeamAgentDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RemoveTeamAgent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"TeamAgentInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"removeTeamAgent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TeamResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TeamResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TeamPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]} as unknown as DocumentNode<RemoveTeamAgentMutation, RemoveTeamAgentMutationVariables>;
export const RoleAssignmentsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"RoleAssignments"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"roleAssignments"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"holder"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"role"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"builtIn"}},{"kind":"Field","name":{"kind":"Name","value":"customId"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"extent"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"teamId"}},{"kind":"Field","name":{"kind":"Name","value":"grantedAt"}},{"kind":"Field","name":{"kind":"Name","value":"grantedBy"}}]}}]}}]}}]} as unknown as DocumentNode<RoleAssignmentsQuery, RoleAssignmentsQueryVariables>;
export const GrantRoleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"GrantRole"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"GrantRoleInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"grantRole"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<GrantRoleMutation, GrantRoleMutationVariables>;
export const RevokeRoleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RevokeRole"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RevokeRoleInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"revokeRole"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<RevokeRoleMutation, RevokeRoleMutationVariables>;
export const DefineRoleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DefineRole"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DefineRoleInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"defineRole"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<DefineRoleMutation, DefineRoleMutationVariables>;
export const WithdrawRoleDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"WithdrawRole"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"WithdrawRoleInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"withdrawRole"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"IdentityError"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"IdentityError"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"IdentityCommandError"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]} as unknown as DocumentNode<WithdrawRoleMutation, WithdrawRoleMutationVariables>;
export const PulseDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"Pulse"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"intervalMs"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageTotals"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"intervalMs"},"value":{"kind":"Variable","name":{"kind":"Name","value":"intervalMs"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"head"}},{"kind":"Field","name":{"kind":"Name","value":"eventsBehind"}},{"kind":"Field","name":{"kind":"Name","value":"secondsBehind"}},{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]}}]}}]} as unknown as DocumentNode<PulseSubscription, PulseSubscriptionVariables>;
export const AgentEventsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"AgentEvents"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"EventFilter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}}]}}]}}]} as unknown as DocumentNode<AgentEventsSubscription, AgentEventsSubscriptionVariables>;
export const NewAlertsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"NewAlerts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetAlerts"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"budgetId"}},{"kind":"Field","name":{"kind":"Name","value":"thresholdPercent"}},{"kind":"Field","name":{"kind":"Name","value":"month"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"raisedAt"}}]}}]}}]} as unknown as DocumentNode<NewAlertsSubscription, NewAlertsSubscriptionVariables>;
export const MemoriesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Memories"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"MemoryFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Boolean"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"memories"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"MemoryFields"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Memory"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"tags"}},{"kind":"Field","name":{"kind":"Name","value":"realm"}},{"kind":"Field","name":{"kind":"Name","value":"recalls"}},{"kind":"Field","name":{"kind":"Name","value":"storedAt"}},{"kind":"Field","name":{"kind":"Name","value":"recalledAt"}},{"kind":"Field","name":{"kind":"Name","value":"forgottenAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"content"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}}}]}]},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]} as unknown as DocumentNode<MemoriesQuery, MemoriesQueryVariables>;
export const MemoryDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Memory"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Boolean"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"memory"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"MemoryFields"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Memory"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"tags"}},{"kind":"Field","name":{"kind":"Name","value":"realm"}},{"kind":"Field","name":{"kind":"Name","value":"recalls"}},{"kind":"Field","name":{"kind":"Name","value":"storedAt"}},{"kind":"Field","name":{"kind":"Name","value":"recalledAt"}},{"kind":"Field","name":{"kind":"Name","value":"forgottenAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"content"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}}}]}]},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]} as unknown as DocumentNode<MemoryQuery, MemoryQueryVariables>;
export const MemoryHistoryDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"MemoryHistory"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Boolean"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"streamEvents"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"category"},"value":{"kind":"StringValue","value":"memory","block":false}},{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadata"}},{"kind":"Field","name":{"kind":"Name","value":"payloadText"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"withContent"}}}]}]}]}}]}}]}}]} as unknown as DocumentNode<MemoryHistoryQuery, MemoryHistoryQueryVariables>;
export const StoreMemoryDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"StoreMemory"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"StoreMemoryInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"storeMemory"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"MemoryResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"MemoryPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"Field","name":{"kind":"Name","value":"memory"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<StoreMemoryMutation, StoreMemoryMutationVariables>;
export const ShareMemoryDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ShareMemory"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ShareMemoryInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"shareMemory"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"MemoryResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"MemoryPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"Field","name":{"kind":"Name","value":"memory"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<ShareMemoryMutation, ShareMemoryMutationVariables>;
export const ForgetMemoryDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ForgetMemory"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ForgetMemoryInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"forgetMemory"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"MemoryResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"MemoryResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"MemoryPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"Field","name":{"kind":"Name","value":"memory"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<ForgetMemoryMutation, ForgetMemoryMutationVariables>;
export const ProjectionsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Projections"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"projections"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"lagEvents"}},{"kind":"Field","name":{"kind":"Name","value":"updatedAt"}},{"kind":"Field","name":{"kind":"Name","value":"parkedEvents"}},{"kind":"Field","name":{"kind":"Name","value":"codeVersion"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"nextVersion"}},{"kind":"Field","name":{"kind":"Name","value":"nextPosition"}},{"kind":"Field","name":{"kind":"Name","value":"previousVersion"}}]}}]}}]} as unknown as DocumentNode<ProjectionsQuery, ProjectionsQueryVariables>;
export const ParkedEventsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"ParkedEvents"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"projection"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"parkedEvents"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"projection"},"value":{"kind":"Variable","name":{"kind":"Name","value":"projection"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"projection"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"category"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}},{"kind":"Field","name":{"kind":"Name","value":"cause"}},{"kind":"Field","name":{"kind":"Name","value":"attempts"}},{"kind":"Field","name":{"kind":"Name","value":"parkedAt"}},{"kind":"Field","name":{"kind":"Name","value":"lastAttemptAt"}}]}},{"kind":"Field","name":{"kind":"Name","value":"parkingDecisions"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"projection"},"value":{"kind":"Variable","name":{"kind":"Name","value":"projection"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"projection"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"decision"}},{"kind":"Field","name":{"kind":"Name","value":"actor"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"decidedAt"}}]}}]}}]} as unknown as DocumentNode<ParkedEventsQuery, ParkedEventsQueryVariables>;
export const ResumeParkedEventDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"ResumeParkedEvent"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ResumeParkedEventInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"resumeParkedEvent"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"applied"}},{"kind":"Field","name":{"kind":"Name","value":"parked"}}]}}]}}]} as unknown as DocumentNode<ResumeParkedEventMutation, ResumeParkedEventMutationVariables>;
export const AlertEndpointsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"AlertEndpoints"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"alertEndpoints"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"host"}},{"kind":"Field","name":{"kind":"Name","value":"budgetIds"}},{"kind":"Field","name":{"kind":"Name","value":"signed"}},{"kind":"Field","name":{"kind":"Name","value":"previousSecretUntil"}},{"kind":"Field","name":{"kind":"Name","value":"silentUntil"}},{"kind":"Field","name":{"kind":"Name","value":"quietHours"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"timeZone"}},{"kind":"Field","name":{"kind":"Name","value":"days"}},{"kind":"Field","name":{"kind":"Name","value":"fromMinute"}},{"kind":"Field","name":{"kind":"Name","value":"minutes"}}]}},{"kind":"Field","name":{"kind":"Name","value":"disabled"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cause"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"at"}}]}},{"kind":"Field","name":{"kind":"Name","value":"changedAt"}}]}}]}}]} as unknown as DocumentNode<AlertEndpointsQuery, AlertEndpointsQueryVariables>;
export const AlertDeliveriesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"AlertDeliveries"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"endpointId"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"UUID"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"state"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"AlertDeliveryState"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"alertDeliveries"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"endpointId"},"value":{"kind":"Variable","name":{"kind":"Name","value":"endpointId"}}},{"kind":"Argument","name":{"kind":"Name","value":"state"},"value":{"kind":"Variable","name":{"kind":"Name","value":"state"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"endpointUuid"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"budgetUuid"}},{"kind":"Field","name":{"kind":"Name","value":"thresholdPercent"}},{"kind":"Field","name":{"kind":"Name","value":"state"}},{"kind":"Field","name":{"kind":"Name","value":"attempts"}},{"kind":"Field","name":{"kind":"Name","value":"error"}},{"kind":"Field","name":{"kind":"Name","value":"createdAt"}},{"kind":"Field","name":{"kind":"Name","value":"nextAttemptAt"}},{"kind":"Field","name":{"kind":"Name","value":"finishedAt"}}]}}]}}]}}]} as unknown as DocumentNode<AlertDeliveriesQuery, AlertDeliveriesQueryVariables>;
export const DefineAlertEndpointDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DefineAlertEndpoint"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DefineAlertEndpointInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"defineAlertEndpoint"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}},{"kind":"Field","name":{"kind":"Name","value":"secret"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<DefineAlertEndpointMutation, DefineAlertEndpointMutationVariables>;
export const RotateAlertEndpointSecretDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RotateAlertEndpointSecret"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RotateAlertEndpointSecretInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"rotateAlertEndpointSecret"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}},{"kind":"Field","name":{"kind":"Name","value":"secret"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<RotateAlertEndpointSecretMutation, RotateAlertEndpointSecretMutationVariables>;
export const TestAlertEndpointDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"TestAlertEndpoint"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"TestAlertEndpointInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"testAlertEndpoint"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<TestAlertEndpointMutation, TestAlertEndpointMutationVariables>;
export const EnableAlertEndpointDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"EnableAlertEndpoint"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"enableAlertEndpoint"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<EnableAlertEndpointMutation, EnableAlertEndpointMutationVariables>;
export const DisableAlertEndpointDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"DisableAlertEndpoint"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"disableAlertEndpoint"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<DisableAlertEndpointMutation, DisableAlertEndpointMutationVariables>;
export const RemoveAlertEndpointDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RemoveAlertEndpoint"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"removeAlertEndpoint"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<RemoveAlertEndpointMutation, RemoveAlertEndpointMutationVariables>;
export const SilenceAlertEndpointDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"SilenceAlertEndpoint"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"SilenceAlertEndpointInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"silenceAlertEndpoint"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<SilenceAlertEndpointMutation, SilenceAlertEndpointMutationVariables>;
export const RedeliverAlertsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"RedeliverAlerts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"RedeliverAlertsInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"redeliverAlerts"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"EndpointResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"EndpointResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"AlertEndpointPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}}]}}]} as unknown as DocumentNode<RedeliverAlertsMutation, RedeliverAlertsMutationVariables>;
export const SpendingDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Spending"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"dayFrom"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"monthFrom"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"burnFrom"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"burnTo"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","alias":{"kind":"Name","value":"day"},"name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"dayFrom"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}}]}}]}},{"kind":"Field","alias":{"kind":"Name","value":"month"},"name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"monthFrom"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}}]}}]}},{"kind":"Field","alias":{"kind":"Name","value":"burn"},"name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"burnFrom"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"burnTo"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<SpendingQuery, SpendingQueryVariables>;
export const ForecastDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Forecast"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"costForecast"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"from"}},{"kind":"Field","name":{"kind":"Name","value":"at"}},{"kind":"Field","name":{"kind":"Name","value":"until"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"expected"}},{"kind":"Field","name":{"kind":"Name","value":"lower"}},{"kind":"Field","name":{"kind":"Name","value":"upper"}},{"kind":"Field","name":{"kind":"Name","value":"percent"}},{"kind":"Field","name":{"kind":"Name","value":"method"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}}]}}]}}]} as unknown as DocumentNode<ForecastQuery, ForecastQueryVariables>;
export const FleetDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Fleet"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"agentCounts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"count"}}]}},{"kind":"Field","name":{"kind":"Name","value":"taskCounts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"count"}}]}}]}}]} as unknown as DocumentNode<FleetQuery, FleetQueryVariables>;
export const PositionAtDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"PositionAt"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"time"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"positionAt"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"time"},"value":{"kind":"Variable","name":{"kind":"Name","value":"time"}}}]}]}}]} as unknown as DocumentNode<PositionAtQuery, PositionAtQueryVariables>;
export const AlertsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Alerts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"budgetAlerts"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"budgetId"}},{"kind":"Field","name":{"kind":"Name","value":"month"}},{"kind":"Field","name":{"kind":"Name","value":"thresholdPercent"}},{"kind":"Field","name":{"kind":"Name","value":"spent"}},{"kind":"Field","name":{"kind":"Name","value":"limit"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"raisedAt"}}]}}]}}]}}]} as unknown as DocumentNode<AlertsQuery, AlertsQueryVariables>;
export const SpendByTimeDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"SpendByTime"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"by"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Dimension"}}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"from"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"to"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"Variable","name":{"kind":"Name","value":"by"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"timeZone"},"value":{"kind":"Variable","name":{"kind":"Name","value":"timeZone"}}},{"kind":"Argument","name":{"kind":"Name","value":"from"},"value":{"kind":"Variable","name":{"kind":"Name","value":"from"}}},{"kind":"Argument","name":{"kind":"Name","value":"to"},"value":{"kind":"Variable","name":{"kind":"Name","value":"to"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"value"}},{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<SpendByTimeQuery, SpendByTimeQueryVariables>;
export const PricesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Prices"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"provider"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"model"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"asOfVersion"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Long"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"prices"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"provider"},"value":{"kind":"Variable","name":{"kind":"Name","value":"provider"}}},{"kind":"Argument","name":{"kind":"Name","value":"model"},"value":{"kind":"Variable","name":{"kind":"Name","value":"model"}}},{"kind":"Argument","name":{"kind":"Name","value":"asOfVersion"},"value":{"kind":"Variable","name":{"kind":"Name","value":"asOfVersion"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"PriceFields"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"PriceFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Price"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"listPrice"}},{"kind":"Field","name":{"kind":"Name","value":"names"}},{"kind":"Field","name":{"kind":"Name","value":"patterns"}},{"kind":"Field","name":{"kind":"Name","value":"contract"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveFrom"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveTo"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"bookVersion"}},{"kind":"Field","name":{"kind":"Name","value":"source"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"licence"}},{"kind":"Field","name":{"kind":"Name","value":"dated"}}]}},{"kind":"Field","name":{"kind":"Name","value":"components"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"meter"}},{"kind":"Field","name":{"kind":"Name","value":"rate"}},{"kind":"Field","name":{"kind":"Name","value":"per"}},{"kind":"Field","name":{"kind":"Name","value":"when"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"context"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"above"}},{"kind":"Field","name":{"kind":"Name","value":"graduated"}}]}},{"kind":"Field","name":{"kind":"Name","value":"serviceTier"}},{"kind":"Field","name":{"kind":"Name","value":"speed"}},{"kind":"Field","name":{"kind":"Name","value":"region"}},{"kind":"Field","name":{"kind":"Name","value":"time"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"from"}},{"kind":"Field","name":{"kind":"Name","value":"to"}},{"kind":"Field","name":{"kind":"Name","value":"utcOffsetMinutes"}},{"kind":"Field","name":{"kind":"Name","value":"weekdays"}}]}}]}}]}}]}}]} as unknown as DocumentNode<PricesQuery, PricesQueryVariables>;
export const DiscountsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Discounts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"asOfVersion"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Long"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"discounts"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"asOfVersion"},"value":{"kind":"Variable","name":{"kind":"Name","value":"asOfVersion"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"models"}},{"kind":"Field","name":{"kind":"Name","value":"percent"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveFrom"}},{"kind":"Field","name":{"kind":"Name","value":"effectiveTo"}}]}}]}}]} as unknown as DocumentNode<DiscountsQuery, DiscountsQueryVariables>;
export const BookVersionsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"BookVersions"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"last"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"before"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"category"},"value":{"kind":"StringValue","value":"price_book","block":false}}]}},{"kind":"Argument","name":{"kind":"Name","value":"last"},"value":{"kind":"Variable","name":{"kind":"Name","value":"last"}}},{"kind":"Argument","name":{"kind":"Name","value":"before"},"value":{"kind":"Variable","name":{"kind":"Name","value":"before"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasPreviousPage"}},{"kind":"Field","name":{"kind":"Name","value":"startCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadata"}}]}}]}}]}}]} as unknown as DocumentNode<BookVersionsQuery, BookVersionsQueryVariables>;
export const UnpricedUsageDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"UnpricedUsage"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"ListValue","values":[{"kind":"EnumValue","value":"PROVIDER"},{"kind":"EnumValue","value":"MODEL"}]}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"dimension"}},{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"inputTokens"}},{"kind":"Field","name":{"kind":"Name","value":"outputTokens"}}]}}]}},{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]}}]}}]} as unknown as DocumentNode<UnpricedUsageQuery, UnpricedUsageQueryVariables>;
export const SetPricesDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"SetPrices"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"SetPricesInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"setPrices"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"bookVersion"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}}]}}]}}]} as unknown as DocumentNode<SetPricesMutation, SetPricesMutationVariables>;
export const RepricingDryRunDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"RepricingDryRun"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"RepricingFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"repricing"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"RepricingPart"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"RepricingPart"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Repricing"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"differences"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"day"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedBefore"}},{"kind":"Field","name":{"kind":"Name","value":"before"}},{"kind":"Field","name":{"kind":"Name","value":"after"}},{"kind":"Field","name":{"kind":"Name","value":"difference"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}}]}},{"kind":"Field","name":{"kind":"Name","value":"unpriced"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"reason"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"charged"}}]}},{"kind":"Field","name":{"kind":"Name","value":"failed"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"call"}},{"kind":"Field","name":{"kind":"Name","value":"message"}}]}},{"kind":"Field","name":{"kind":"Name","value":"next"}},{"kind":"Field","name":{"kind":"Name","value":"nextFrom"}}]}}]} as unknown as DocumentNode<RepricingDryRunQuery, RepricingDryRunQueryVariables>;
export const ViewerDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Viewer"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"viewer"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"actor"}},{"kind":"Field","name":{"kind":"Name","value":"tenant"}},{"kind":"Field","name":{"kind":"Name","value":"email"}},{"kind":"Field","name":{"kind":"Name","value":"sessionId"}},{"kind":"Field","name":{"kind":"Name","value":"displayName"}},{"kind":"Field","name":{"kind":"Name","value":"permissions"}}]}}]}}]} as unknown as DocumentNode<ViewerQuery, ViewerQueryVariables>;
export const RecordedCallsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"subscription","name":{"kind":"Name","value":"RecordedCalls"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"EventFilter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"streamId"}}]}}]}}]} as unknown as DocumentNode<RecordedCallsSubscription, RecordedCallsSubscriptionVariables>;
export const StartHeadDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"StartHead"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"head"}}]}}]} as unknown as DocumentNode<StartHeadQuery, StartHeadQueryVariables>;
export const RecordedCallDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"RecordedCall"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"call"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}}]}}]}}]}}]} as unknown as DocumentNode<RecordedCallQuery, RecordedCallQueryVariables>;
export const StartAccountDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"StartAccount"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreateServiceAccountInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createServiceAccount"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"serviceAccount"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]}}]} as unknown as DocumentNode<StartAccountMutation, StartAccountMutationVariables>;
export const StartKeyDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"StartKey"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CreateApiKeyInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"createApiKey"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"secret"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}}]}}]}}]} as unknown as DocumentNode<StartKeyMutation, StartKeyMutationVariables>;
export const TraceDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Trace"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"trace"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"traceId"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"endedAt"}},{"kind":"Field","name":{"kind":"Name","value":"durationUs"}},{"kind":"Field","name":{"kind":"Name","value":"spanCount"}},{"kind":"Field","name":{"kind":"Name","value":"isTruncated"}},{"kind":"Field","name":{"kind":"Name","value":"spans"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"edges"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cursor"}},{"kind":"Field","name":{"kind":"Name","value":"node"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TraceSpanFields"}}]}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TraceSpanFields"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TraceSpan"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"spanId"}},{"kind":"Field","name":{"kind":"Name","value":"parentSpanId"}},{"kind":"Field","name":{"kind":"Name","value":"depth"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"durationUs"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"statusMessage"}},{"kind":"Field","name":{"kind":"Name","value":"service"}},{"kind":"Field","name":{"kind":"Name","value":"scope"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}},{"kind":"Field","name":{"kind":"Name","value":"call"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"usageAssumed"}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}},{"kind":"Field","name":{"kind":"Name","value":"cacheRead"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5Min"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1Hour"}}]}}]}}]}}]} as unknown as DocumentNode<TraceQuery, TraceQueryVariables>;
export const TraceTotalsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"TraceTotals"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"trace"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"Spend"}},{"kind":"Field","name":{"kind":"Name","value":"assumedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"inputTokens"}},{"kind":"Field","name":{"kind":"Name","value":"outputTokens"}},{"kind":"Field","name":{"kind":"Name","value":"cacheReadTokens"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite5MinTokens"}},{"kind":"Field","name":{"kind":"Name","value":"cacheWrite1HourTokens"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"Spend"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"failedCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<TraceTotalsQuery, TraceTotalsQueryVariables>;
export const SpanTextsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"SpanTexts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"trace"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"spans"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"spanId"}},{"kind":"Field","name":{"kind":"Name","value":"contents"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"leftOutCount"}},{"kind":"Field","name":{"kind":"Name","value":"texts"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"source"}},{"kind":"Field","name":{"kind":"Name","value":"event"}},{"kind":"Field","name":{"kind":"Name","value":"occurredAt"}},{"kind":"Field","name":{"kind":"Name","value":"name"}},{"kind":"Field","name":{"kind":"Name","value":"text"}},{"kind":"Field","name":{"kind":"Name","value":"totalBytes"}},{"kind":"Field","name":{"kind":"Name","value":"isCut"}}]}}]}}]}}]}}]}}]}}]} as unknown as DocumentNode<SpanTextsQuery, SpanTextsQueryVariables>;
export const WorkTasksDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WorkTasks"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"TaskFilter"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"tasks"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"order"},"value":{"kind":"EnumValue","value":"NEWEST_FIRST"}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"WorkTask"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"WorkTask"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Task"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"progressPercent"}},{"kind":"Field","name":{"kind":"Name","value":"submittedAt"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"endedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]} as unknown as DocumentNode<WorkTasksQuery, WorkTasksQueryVariables>;
export const WorkTaskByIdDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WorkTaskById"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"asOf"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"AsOf"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Position"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"contents"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Boolean"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"task"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"id"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}},{"kind":"Argument","name":{"kind":"Name","value":"asOf"},"value":{"kind":"Variable","name":{"kind":"Name","value":"asOf"}}},{"kind":"Argument","name":{"kind":"Name","value":"minPosition"},"value":{"kind":"Variable","name":{"kind":"Name","value":"minPosition"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"WorkTask"}},{"kind":"Field","name":{"kind":"Name","value":"progressNote"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"contents"}}}]}]},{"kind":"Field","name":{"kind":"Name","value":"outcome"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"contents"}}}]}]}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"WorkTask"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"Task"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"agentId"}},{"kind":"Field","name":{"kind":"Name","value":"dagId"}},{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"status"}},{"kind":"Field","name":{"kind":"Name","value":"progressPercent"}},{"kind":"Field","name":{"kind":"Name","value":"submittedAt"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"endedAt"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"agent"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"name"}}]}}]}}]} as unknown as DocumentNode<WorkTaskByIdQuery, WorkTaskByIdQueryVariables>;
export const WorkTaskEventsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WorkTaskEvents"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"last"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"contents"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Boolean"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"events"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"category"},"value":{"kind":"StringValue","value":"task","block":false}},{"kind":"ObjectField","name":{"kind":"Name","value":"streamId"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"last"},"value":{"kind":"Variable","name":{"kind":"Name","value":"last"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasPreviousPage"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"version"}},{"kind":"Field","name":{"kind":"Name","value":"type"}},{"kind":"Field","name":{"kind":"Name","value":"recordedAt"}},{"kind":"Field","name":{"kind":"Name","value":"metadata"}},{"kind":"Field","name":{"kind":"Name","value":"payloadText"},"directives":[{"kind":"Directive","name":{"kind":"Name","value":"include"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"if"},"value":{"kind":"Variable","name":{"kind":"Name","value":"contents"}}}]}]}]}}]}}]}}]} as unknown as DocumentNode<WorkTaskEventsQuery, WorkTaskEventsQueryVariables>;
export const WorkTaskCallsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WorkTaskCalls"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"id"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"ID"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"after"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"String"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"calls"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"taskId"},"value":{"kind":"Variable","name":{"kind":"Name","value":"id"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"after"},"value":{"kind":"Variable","name":{"kind":"Name","value":"after"}}},{"kind":"Argument","name":{"kind":"Name","value":"order"},"value":{"kind":"EnumValue","value":"NEWEST_FIRST"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"pageInfo"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"hasNextPage"}},{"kind":"Field","name":{"kind":"Name","value":"endCursor"}}]}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}},{"kind":"Field","name":{"kind":"Name","value":"kind"}},{"kind":"Field","name":{"kind":"Name","value":"provider"}},{"kind":"Field","name":{"kind":"Name","value":"model"}},{"kind":"Field","name":{"kind":"Name","value":"tool"}},{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"error"}},{"kind":"Field","name":{"kind":"Name","value":"startedAt"}},{"kind":"Field","name":{"kind":"Name","value":"latencyMs"}},{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"usage"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"input"}},{"kind":"Field","name":{"kind":"Name","value":"output"}}]}}]}}]}}]}}]} as unknown as DocumentNode<WorkTaskCallsQuery, WorkTaskCallsQueryVariables>;
export const WorkCostsDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WorkCosts"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"by"},"value":{"kind":"ListValue","values":[{"kind":"EnumValue","value":"TASK"}]}},{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"keys"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"value"}}]}},{"kind":"Field","name":{"kind":"Name","value":"totals"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"WorkCost"}}]}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"WorkCost"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<WorkCostsQuery, WorkCostsQueryVariables>;
export const WorkTotalDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"WorkTotal"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"filter"}},"type":{"kind":"NonNullType","type":{"kind":"ListType","type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"UsageFilter"}}}}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"knownAt"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"AsOf"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"usageReport"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"filter"},"value":{"kind":"Variable","name":{"kind":"Name","value":"filter"}}},{"kind":"Argument","name":{"kind":"Name","value":"knownAt"},"value":{"kind":"Variable","name":{"kind":"Name","value":"knownAt"}}},{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"IntValue","value":"1"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"total"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"WorkCost"}}]}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"WorkCost"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"UsageTotals"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cost"}},{"kind":"Field","name":{"kind":"Name","value":"currency"}},{"kind":"Field","name":{"kind":"Name","value":"calls"}},{"kind":"Field","name":{"kind":"Name","value":"toolCalls"}},{"kind":"Field","name":{"kind":"Name","value":"unpricedCalls"}}]}}]} as unknown as DocumentNode<WorkTotalQuery, WorkTotalQueryVariables>;
export const SubmitTaskDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"SubmitTask"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"SubmitTaskInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"submitTask"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TaskPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<SubmitTaskMutation, SubmitTaskMutationVariables>;
export const StartTaskDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"StartTask"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"StartTaskInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"startTask"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TaskPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<StartTaskMutation, StartTaskMutationVariables>;
export const CompleteTaskDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CompleteTask"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CompleteTaskInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"completeTask"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TaskPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<CompleteTaskMutation, CompleteTaskMutationVariables>;
export const FailTaskDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"FailTask"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"FailTaskInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"failTask"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TaskPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<FailTaskMutation, FailTaskMutationVariables>;
export const CancelTaskDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"mutation","name":{"kind":"Name","value":"CancelTask"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"input"}},"type":{"kind":"NonNullType","type":{"kind":"NamedType","name":{"kind":"Name","value":"CancelTaskInput"}}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"cancelTask"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"input"},"value":{"kind":"Variable","name":{"kind":"Name","value":"input"}}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"FragmentSpread","name":{"kind":"Name","value":"TaskResult"}}]}}]}},{"kind":"FragmentDefinition","name":{"kind":"Name","value":"TaskResult"},"typeCondition":{"kind":"NamedType","name":{"kind":"Name","value":"TaskPayload"}},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"outcome"}},{"kind":"Field","name":{"kind":"Name","value":"position"}},{"kind":"Field","name":{"kind":"Name","value":"error"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"code"}},{"kind":"Field","name":{"kind":"Name","value":"message"}},{"kind":"Field","name":{"kind":"Name","value":"field"}}]}},{"kind":"Field","name":{"kind":"Name","value":"task"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"id"}},{"kind":"Field","name":{"kind":"Name","value":"uuid"}}]}}]}}]} as unknown as DocumentNode<CancelTaskMutation, CancelTaskMutationVariables>;