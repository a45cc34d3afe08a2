import { describe, expect, it } from 'vitest';
import { backoffMs } from '../src/lib/backoff';
import { matching } from '../src/lib/commands';
import { newId } from '../src/lib/ids';

describe('attempts to connect', () => {
  it('wait longer each time, up to a limit, and not all pages as long', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 1000].map((failed) => backoffMs(failed, 1));
    expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    expect(backoffMs(3, 0)).toBe(1000);
  });
});

describe('commands', () => {
  const command = (label: string) => ({ id: label, label, run: () => {} });
  const commands = ['Go to Agents', 'Agent pauser', 'Pause fleet-1', 'Retire fleet-1'].map(command);

  it('are found by all words, those that begin with the first one before others', () => {
    const labels = (text: string) => matching(commands, text).map(({ label }) => label);
    expect(labels('pause')).toEqual(['Pause fleet-1', 'Agent pauser']);
    expect(labels('FLEET re')).toEqual(['Retire fleet-1']);
    expect(labels('nothing')).toEqual([]);
    expect(labels('')).toHaveLength(4);
  });
});

describe('ids', () => {
  it('are random UUIDs', () => {
    const ids = Array.from({ length: 100 }, newId);
    expect(new Set(ids).size).toBe(100);
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
  });
});
