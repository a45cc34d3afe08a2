import { ActivateAgentDocument, PauseAgentDocument, ResumeAgentDocument, RetireAgentDocument } from '../graphql/generated/graphql';
import type { CommandAnswer } from './send-command';
import { sendCommand } from './send-command';

export type AgentAction = 'activate' | 'pause' | 'resume' | 'retire';

/** Sends a command to an agent. */
export function sendToAgent(action: AgentAction, id: string, reason: string | null): Promise<CommandAnswer<unknown>> {
  switch (action) {
    case 'activate':
      return sendCommand(ActivateAgentDocument, { id }, (data) => data.activateAgent);
    case 'resume':
      return sendCommand(ResumeAgentDocument, { id }, (data) => data.resumeAgent);
    case 'pause':
      return sendCommand(PauseAgentDocument, { id, reason }, (data) => data.pauseAgent);
    case 'retire':
      return sendCommand(RetireAgentDocument, { id, reason }, (data) => data.retireAgent);
  }
}
