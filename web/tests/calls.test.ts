import { describe, expect, it } from 'vitest';
import { callFilter, pageOfId, readCalls, writeCalls } from '../src/lib/calls';

describe('the list of calls', () => {
  it('is in the address, and what is wrong there is any', () => {
    const query = { model: 'gpt-4o', outcome: 'timeout', from: '2026-03-01T00:00:00Z', unpriced: '1', q: 'x y' };
    expect(writeCalls(readCalls(query))).toEqual(query);
    const wrong = readCalls({ outcome: 'no', from: 'yesterday', unpriced: 'yes', model: ['a', 'b'] });
    expect(writeCalls(wrong)).toEqual({ model: 'a' });
  });

  it('asks the server for what is given only', () => {
    const filter = callFilter(readCalls({ tool: 'search', agent: 'A' }));
    expect(Object.entries(filter).filter(([, value]) => value)).toEqual([
      ['tool', 'search'],
      ['agentId', 'A'],
    ]);
  });

  it('opens what a pasted id is of', () => {
    expect(pageOfId(' 0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01 ')?.name).toBe('call');
    expect(pageOfId('0AF7651916CD43DD8448EB211C80319C')?.params).toEqual({ trace: '0af7651916cd43dd8448eb211c80319c' });
    expect(pageOfId('gpt-4o')).toBeNull();
  });
});
