import {
  DisableAlertEndpointDocument,
  EnableAlertEndpointDocument,
  RedeliverAlertsDocument,
  RemoveAlertEndpointDocument,
  SilenceAlertEndpointDocument,
  TestAlertEndpointDocument,
} from '../graphql/generated/graphql';
import { texts } from '../texts';
import type { Question } from './use-question';

export interface EndpointRef {
  readonly uuid: string;
  readonly name: string;
}

const HOUR_MS = 3_600_000;
const own = texts.installation.alerts;

export const testEndpoint = ({ uuid }: EndpointRef): Question['send'] => (send) =>
  send(TestAlertEndpointDocument, { endpointId: uuid }, (data) => data.testAlertEndpoint);

export const enableEndpoint = ({ uuid }: EndpointRef): Question['send'] => (send) =>
  send(EnableAlertEndpointDocument, { endpointId: uuid }, (data) => data.enableAlertEndpoint);

export const endSilence = ({ uuid }: EndpointRef): Question['send'] => (send) =>
  send(SilenceAlertEndpointDocument, { endpointId: uuid, until: null }, (data) => data.silenceAlertEndpoint);

export function disableEndpoint({ uuid, name }: EndpointRef): Question {
  return {
    title: own.disableTitle(name),
    detail: own.disableDetail,
    action: own.disable,
    takesReason: true,
    send: (send, reason) => send(DisableAlertEndpointDocument, { endpointId: uuid, reason }, (data) => data.disableAlertEndpoint),
    done: own.disabledDone(name),
  };
}

export function removeEndpoint({ uuid, name }: EndpointRef): Question {
  return {
    title: own.removeTitle(name),
    detail: own.removeDetail,
    action: own.remove,
    isFinal: true,
    takesReason: true,
    send: (send, reason) => send(RemoveAlertEndpointDocument, { endpointId: uuid, reason }, (data) => data.removeAlertEndpoint),
    done: own.removedDone(name),
  };
}

/** The time is that of the question, so that a command that is sent again is the same. */
export function silenceEndpoint({ uuid, name }: EndpointRef, hours: number): Question {
  const until = new Date(Date.now() + hours * HOUR_MS).toISOString();
  return {
    title: own.silenceTitle(name),
    detail: own.silenceDetail(String(hours)),
    action: own.silence,
    takesReason: true,
    send: (send, reason) => send(SilenceAlertEndpointDocument, { endpointId: uuid, until, reason }, (data) => data.silenceAlertEndpoint),
    done: own.silencedDone(name),
  };
}

/** Tries one dead letter of an endpoint again, or all of them. */
export function redeliver({ uuid, name }: EndpointRef, deliveryId: string | null): Question {
  return {
    title: deliveryId === null ? own.redeliverAllTitle(name) : own.redeliverTitle(name),
    detail: own.redeliverDetail,
    action: own.redeliver,
    takesReason: true,
    send: (send, reason) => send(RedeliverAlertsDocument, { endpointId: uuid, deliveryId, reason }, (data) => data.redeliverAlerts),
    done: own.redeliveredDone(name),
  };
}
