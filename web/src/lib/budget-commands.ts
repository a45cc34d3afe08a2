import type { AcknowledgeBudgetConditionInput, BudgetResultFragment, BudgetScopeInput } from '../graphql/generated/graphql';
import {
  AcknowledgeAlertDocument,
  AcknowledgeConditionDocument,
  AnswerApprovalDocument,
  CloseBudgetDocument,
  DefineBudgetDocument,
  RaiseBudgetDocument,
  ResolveAlertDocument,
  ResumeBudgetDocument,
  ReviseBudgetDocument,
  SuspendBudgetDocument,
} from '../graphql/generated/graphql';
import { scopesOf, termsOf } from './budget-terms';
import type { BudgetDetails, BudgetDraft } from './budget-terms';
import { sendCommand } from './send-command';
import type { CommandAnswer } from './send-command';

type BudgetAnswer = CommandAnswer<BudgetResultFragment>;

export function defineBudget(draft: BudgetDraft): Promise<BudgetAnswer> {
  return sendCommand(DefineBudgetDocument, { terms: termsOf(draft) }, (data) => data.defineBudget);
}

/** Revises the terms that the reader saw: the command is rejected if they were changed since. */
export async function reviseBudget(budget: BudgetDetails, draft: BudgetDraft, reason: string): Promise<BudgetAnswer> {
  const send = (scope: BudgetScopeInput | undefined) =>
    sendCommand(
      ReviseBudgetDocument,
      { id: budget.id, terms: termsOf(draft, scope), expectedVersion: budget.version, ...(reason === '' ? {} : { reason }) },
      (data) => data.reviseBudget,
    );
  const [first, second] = scopesOf(budget);
  const answer = await send(first);
  return answer.code === 'SCOPE_FIXED' && second ? send(second) : answer;
}

export function suspendBudget(id: string, reason: string): Promise<BudgetAnswer> {
  return sendCommand(SuspendBudgetDocument, { id, reason }, (data) => data.suspendBudget);
}

export function resumeBudget(id: string, reason: string): Promise<BudgetAnswer> {
  return sendCommand(ResumeBudgetDocument, { id, reason }, (data) => data.resumeBudget);
}

export function raiseBudget(id: string, amount: string, until: string, reason: string): Promise<BudgetAnswer> {
  return sendCommand(RaiseBudgetDocument, { id, amount, until, reason }, (data) => data.raiseBudget);
}

export function closeBudget(id: string): Promise<BudgetAnswer> {
  return sendCommand(CloseBudgetDocument, { id }, (data) => data.closeBudget);
}

export function answerApproval(approvalId: string, answer: 'APPROVE' | 'DENY', reason: string) {
  return sendCommand(AnswerApprovalDocument, { approvalId, answer, reason }, (data) => data.answerApproval);
}

export function acknowledgeAlert(position: string, reason: string) {
  return sendCommand(AcknowledgeAlertDocument, { position, reason }, (data) => data.acknowledgeAlert);
}

export function resolveAlert(position: string, reason: string) {
  return sendCommand(ResolveAlertDocument, { position, reason }, (data) => data.resolveAlert);
}

/** What names an alert of a condition. */
export type ConditionKey = Pick<AcknowledgeBudgetConditionInput, 'budgetId' | 'balanceId' | 'termsVersion' | 'condition'>;

export function acknowledgeCondition(key: ConditionKey, reason: string) {
  return sendCommand(AcknowledgeConditionDocument, { ...key, reason }, (data) => data.acknowledgeBudgetCondition);
}
