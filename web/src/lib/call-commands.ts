import type { CallCorrection } from '../graphql/generated/graphql';
import { CorrectCallDocument, VoidCallDocument } from '../graphql/generated/graphql';
import type { CommandAnswer } from './send-command';
import { sendCommand } from './send-command';

export function correctCall(id: string, values: CallCorrection, reason: string): Promise<CommandAnswer<unknown>> {
  return sendCommand(CorrectCallDocument, { id, values, reason }, (data) => data.correctCall);
}

export function voidCall(id: string, reason: string): Promise<CommandAnswer<unknown>> {
  return sendCommand(VoidCallDocument, { id, reason }, (data) => data.voidCall);
}
