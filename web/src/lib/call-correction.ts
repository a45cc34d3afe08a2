import type { CallCorrection, CallOutcome, CallQuery } from '../graphql/generated/graphql';
import { texts } from '../texts';

type Call = NonNullable<CallQuery['call']>;

/** The fields of text that the page corrects. The API corrects more. */
export const CORRECTED = ['provider', 'model', 'tool', 'serviceTier', 'region', 'user', 'team', 'key'] as const;
export type CorrectedField = (typeof CORRECTED)[number];

/** What the reader typed. */
export interface Draft {
  fields: Record<CorrectedField, string>;
  outcome: CallOutcome | '';
  input: string;
  output: string;
}

export function draftOf(call: Call): Draft {
  const fields = Object.fromEntries(CORRECTED.map((field) => [field, call[field] ?? ''])) as Draft['fields'];
  return { fields, outcome: call.outcome ?? '', input: String(call.usage.input), output: String(call.usage.output) };
}

/** The fields of a call of this kind. */
export function fieldsOf({ kind }: Call): CorrectedField[] {
  return CORRECTED.filter((field) => (field === 'tool' ? kind === 'TOOL' : field === 'serviceTier' ? kind === 'LLM' : true));
}

/** The corrected values, or what is wrong with them. */
export function correctionOf(call: Call, draft: Draft): { values: CallCorrection } | { problem: string } {
  const values: CallCorrection = {};
  for (const field of fieldsOf(call)) {
    const typed = draft.fields[field].trim();
    if (typed !== (call[field] ?? '')) {
      if (typed === '') {
        return { problem: texts.call.tooEmpty(texts.call[field]) };
      }
      values[field] = typed;
    }
  }
  if (draft.outcome !== '' && draft.outcome !== call.outcome) {
    values.outcome = draft.outcome;
  }
  for (const [text, label] of [[draft.input, texts.call.inputTokens], [draft.output, texts.call.outputTokens]] as const) {
    if (!/^\d{1,15}$/.test(text.trim())) {
      return { problem: texts.call.badCount(label) };
    }
  }
  const [input, output] = [Number(draft.input), Number(draft.output)];
  if (input !== call.usage.input || output !== call.usage.output) {
    // Usage is corrected whole: meters that the page does not change are sent as they are.
    values.usage = { ...call.allUsage, input, output };
  }
  return Object.keys(values).length === 0 ? { problem: texts.call.unchangedFields } : { values };
}
