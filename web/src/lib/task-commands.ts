import type { SubmitTaskInput, TaskResultFragment, TaskStatus } from '../graphql/generated/graphql';
import {
  CancelTaskDocument,
  CompleteTaskDocument,
  FailTaskDocument,
  StartTaskDocument,
  SubmitTaskDocument,
} from '../graphql/generated/graphql';
import type { CommandAnswer } from './send-command';
import { sendCommand } from './send-command';

export type TaskAction = 'start' | 'complete' | 'fail' | 'cancel';

/** What can be done to a task with a status. The server decides; this is what is offered. */
export function actionsOf(status: TaskStatus): readonly TaskAction[] {
  switch (status) {
    case 'SUBMITTED':
      return ['start', 'fail', 'cancel'];
    case 'RUNNING':
      return ['complete', 'fail', 'cancel'];
    case 'COMPLETED':
    case 'FAILED':
    case 'CANCELLED':
      return [];
  }
}

/** Sends a command to a task. `text` is the result, the error or the reason, where the command has one. */
export function sendToTask(action: TaskAction, id: string, text: string | null): Promise<CommandAnswer<unknown>> {
  switch (action) {
    case 'start':
      return sendCommand(StartTaskDocument, { id }, (data) => data.startTask);
    case 'complete':
      return sendCommand(CompleteTaskDocument, { id, result: text }, (data) => data.completeTask);
    case 'fail':
      return sendCommand(FailTaskDocument, { id, error: text ?? '' }, (data) => data.failTask);
    case 'cancel':
      return sendCommand(CancelTaskDocument, { id, reason: text }, (data) => data.cancelTask);
  }
}

export function submitTask(input: SubmitTaskInput): Promise<CommandAnswer<TaskResultFragment>> {
  return sendCommand(SubmitTaskDocument, input, (data) => data.submitTask);
}
