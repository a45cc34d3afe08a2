import type { TypedDocumentNode } from '@urql/core';
import type { AgentResultFragment } from '../graphql/generated/graphql';
import { ActivateAgentDocument, PauseAgentDocument, ResumeAgentDocument, RetireAgentDocument } from '../graphql/generated/graphql';
import { mutate } from './client';
import { texts } from '../texts';
import { newId } from './ids';
import { unanswered } from './unanswered';

export type AgentAction = 'activate' | 'pause' | 'resume' | 'retire';

export interface AgentOutcome {
  /** What the reader is told if it was not changed, or may not be; null if it was. */
  readonly problem: string | null;
  /** Whether the agent was in the status already. */
  readonly isUnchanged: boolean;
  /** The position of the event, which what is loaded afterwards has to include. */
  readonly position: string | null;
}

async function send<D, I>(document: TypedDocumentNode<D, { input: I }>, input: I, pick: (data: D) => AgentResultFragment): Promise<AgentOutcome> {
  const result = await mutate(document, { input });
  if (!result.data) {
    return { problem: unanswered(result.error), isUnchanged: false, position: null };
  }
  const { outcome, error, position } = pick(result.data);
  return { problem: error ? texts.agent.failed(error.message) : null, isUnchanged: outcome === 'ALREADY_DONE', position: position ?? null };
}

/** Sends a command to an agent. The id of the command is new, since a command is sent once for each confirmation. */
export function sendToAgent(action: AgentAction, id: string, reason: string | null): Promise<AgentOutcome> {
  const commandId = newId();
  switch (action) {
    case 'activate':
      return send(ActivateAgentDocument, { commandId, id }, (data) => data.activateAgent);
    case 'resume':
      return send(ResumeAgentDocument, { commandId, id }, (data) => data.resumeAgent);
    case 'pause':
      return send(PauseAgentDocument, { commandId, id, reason }, (data) => data.pauseAgent);
    case 'retire':
      return send(RetireAgentDocument, { commandId, id, reason }, (data) => data.retireAgent);
  }
}
