/** Files that are sent to the routes for ingest, and what their answers say. */
import { request } from './client';
import { newId } from './ids';
import { texts } from '../texts';

/** What was counted of a file so far. */
export interface Counts {
  readonly created: number;
  /** What added to something that was known. */
  readonly updated: number;
  readonly duplicate: number;
  readonly refused: number;
  readonly ignored: number;
  /** Calls without a price, which are in no cost. */
  readonly unpriced: number;
}

export interface Progress {
  readonly counts: Counts;
  /** Why records were refused, and where: the first ones, the others are only counted. */
  readonly reasons: readonly string[];
  readonly sentBytes: number;
  /** The id by which all of it can be taken back. */
  readonly importId: string | null;
}

export interface UploadOptions {
  /** The name of the format, `file` if the server recognises it, `lines` for lines of Apex. */
  readonly format: string;
  readonly model: string;
  readonly provider: string;
  readonly agent: string;
}

export const NOTHING: Progress = {
  counts: { created: 0, updated: 0, duplicate: 0, refused: 0, ignored: 0, unpriced: 0 },
  reasons: [],
  sentBytes: 0,
  importId: null,
};
export const MAX_REASONS = 100;
/** Lines are sent in parts of about this size: a browser reads no answers before a request is sent, and the server waits for that. */
const PART_BYTES = 2 * 1024 * 1024;
const NEWLINE = 10;
const NDJSON = 'application/x-ndjson';

export class UploadError extends Error {}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const numberOf = (value: unknown) => (typeof value === 'number' ? value : 0);
const textOf = (value: unknown) => (typeof value === 'string' ? value : '');

/** Whether a text begins with a line of Apex's own form, which has a route of its own. */
export function isOwnLine(text: string): boolean {
  const [first = ''] = text.trimStart().split('\n', 1);
  try {
    const line: unknown = JSON.parse(first);
    return isObject(line) && ['call', 'task', 'memory'].includes(textOf(line.type)) && !('message' in line);
  } catch {
    return false;
  }
}

/** The lines of a response as they come, as JSON. */
async function* answersOf(response: Response): AsyncGenerator<Json> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const lines = (rest + part.value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.filter((found) => found.trim() !== '')) {
      yield JSON.parse(line) as Json;
    }
  }
}

async function refusalOf(response: Response): Promise<UploadError> {
  const answer: unknown = await response.json().catch(() => null);
  const first: unknown = isObject(answer) && Array.isArray(answer.errors) ? answer.errors[0] : null;
  return new UploadError(isObject(first) ? textOf(first.message) : texts.start.status(String(response.status)));
}

async function post(path: string, body: Blob, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  const response = await request(path, { method: 'POST', body, headers: { accept: NDJSON, ...headers }, signal });
  if (!response.ok) {
    throw await refusalOf(response);
  }
  return response;
}

/** The failure that a line of an answer says; null if it says none. */
function failureOf(line: Json): UploadError | null {
  const failure = isObject(line.stopped) ? line.stopped : isObject(line.error) && line.status === undefined ? line.error : null;
  return failure ? new UploadError([textOf(failure.location), textOf(failure.message)].filter(Boolean).join(': ')) : null;
}

function withReason(progress: Progress, reason: string): Progress {
  return progress.reasons.length < MAX_REASONS ? { ...progress, reasons: [...progress.reasons, reason] } : progress;
}

function countsOf(given: unknown): Counts {
  const counts = isObject(given) ? given : {};
  return {
    created: numberOf(counts.imported),
    updated: numberOf(counts.amended),
    duplicate: numberOf(counts.duplicate),
    refused: numberOf(counts.refused),
    ignored: numberOf(counts.ignored),
    unpriced: numberOf(counts.unpriced),
  };
}

/** Sends a file of another tool. */
async function sendFile(file: Blob, options: UploadOptions, signal: AbortSignal, tell: (progress: Progress) => void): Promise<void> {
  const pairs = (['model', 'provider', 'agent'] as const).flatMap((name) => (options[name].trim() === '' ? [] : [[name, options[name].trim()]]));
  const query = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
  const response = await post(`/v1/ingest/${encodeURIComponent(options.format)}${query}`, file, {}, signal);
  let progress: Progress = { ...NOTHING, sentBytes: file.size, importId: response.headers.get('x-correlation-id') };
  let isEnded = false;
  for await (const line of answersOf(response)) {
    progress = isObject(line.counts) ? { ...progress, counts: countsOf(line.counts) } : progress;
    progress = line.event === 'refused' || line.event === 'ignored' ? withReason(progress, textOf(line.reason)) : progress;
    isEnded ||= line.event === 'ended';
    tell(progress);
    const failure = failureOf(line);
    if (failure) {
      throw failure;
    }
  }
  if (!isEnded) {
    throw new UploadError(texts.start.cutOff);
  }
}

const STATUS_COUNTS: Readonly<Record<string, keyof Counts>> = { created: 'created', updated: 'updated', unchanged: 'duplicate', refused: 'refused' };

function withLine(progress: Progress, line: Json, before: number): Progress {
  const counted = STATUS_COUNTS[textOf(line.status)];
  if (counted === undefined) {
    return progress;
  }
  const next = { ...progress, counts: { ...progress.counts, [counted]: progress.counts[counted] + 1 } };
  return counted === 'refused' && isObject(line.error)
    ? withReason(next, texts.start.line(String(before + numberOf(line.line)), textOf(line.error.message)))
    : next;
}

/** The end of the part of a file that begins at an offset: after the last line that fits, or the end of the file. */
async function partEnd(file: Blob, start: number): Promise<{ end: number; lines: number }> {
  const end = Math.min(start + PART_BYTES, file.size);
  const bytes = new Uint8Array(await file.slice(start, end).arrayBuffer());
  const last = bytes.lastIndexOf(NEWLINE);
  if (end < file.size && last < 0) {
    throw new UploadError(texts.start.longLine);
  }
  const length = end < file.size ? last + 1 : bytes.length;
  return { end: start + length, lines: bytes.subarray(0, length).filter((byte) => byte === NEWLINE).length };
}

/** Sends lines of Apex's own form, all parts as one import. */
async function sendLines(file: Blob, signal: AbortSignal, tell: (progress: Progress) => void): Promise<void> {
  const importId = newId();
  let progress: Progress = { ...NOTHING, importId };
  let before = 0;
  for (let start = 0; start < file.size; ) {
    const { end, lines } = await partEnd(file, start);
    const headers = { 'content-type': NDJSON, 'x-correlation-id': importId };
    const response = await post('/v1/ingest', file.slice(start, end), headers, signal);
    for await (const line of answersOf(response)) {
      progress = withLine(progress, line, before);
      const failure = failureOf(line);
      if (failure) {
        tell(progress);
        throw failure;
      }
    }
    [start, before] = [end, before + lines];
    progress = { ...progress, sentBytes: end };
    tell(progress);
  }
}

/** Sends a file, and tells its progress. It fails with what the server says, and sending all of it again is safe. */
export async function upload(file: File, options: UploadOptions, signal: AbortSignal, tell: (progress: Progress) => void): Promise<void> {
  // A folder that is dropped is a file that cannot be read.
  const start = await file
    .slice(0, PART_BYTES)
    .text()
    .catch(() => null);
  if (start === null) {
    throw new UploadError(texts.start.notReadable);
  }
  const isLines = options.format === 'lines' || (options.format === 'file' && isOwnLine(start));
  await (isLines ? sendLines(file, signal, tell) : sendFile(file, options, signal, tell));
}
