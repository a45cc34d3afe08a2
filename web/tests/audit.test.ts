import { describe, expect, it } from 'vitest';
import { eventFilter, isFollowing, moved, readAudit, toPosition, toTypes, writeAudit } from '../src/lib/audit-state';
import { fieldsOf, showValue } from '../src/lib/fields';
import { indentJson } from '../src/lib/json-text';
import { metadataOf, rowsOf } from '../src/lib/log-rows';
import { localToInstant } from '../src/lib/time';

describe('the state of the page of the log in its URL', () => {
  const DEFAULT = readAudit({});

  it('is the end of the log where the URL says nothing, and the same after it was written and read', () => {
    expect(writeAudit(DEFAULT)).toEqual({});
    expect(isFollowing(DEFAULT)).toBe(true);
    const state = {
      ...DEFAULT,
      category: 'task',
      types: ['task.started', 'task.failed'],
      stream: 'a',
      actor: 'user:1',
      related: 'b',
      at: '12',
      follows: false,
      event: '9',
      object: { category: 'task', id: 'a' },
      asOf: '8',
      compare: '4',
    };
    expect(readAudit(writeAudit(state))).toEqual(state);
  });

  it('has positions only where the URL has whole numbers, and no moments without an object', () => {
    expect(readAudit({ at: 'x', event: '-1', object: 'task', as_of: '3' })).toMatchObject({ at: null, event: null, object: null });
    expect(writeAudit({ ...DEFAULT, asOf: '3', compare: '2' })).toEqual({});
    expect([toPosition('1,024'), toPosition('007'), toPosition('1.5'), toPosition(''), toPosition('9'.repeat(19))]).toEqual(['1024', '7', null, null, null]);
    expect([moved('9007199254740993', 1n), moved('1', -2n)]).toEqual(['9007199254740994', '0']);
  });

  it('follows new events unless the list begins in the past or the reader has paused it', () => {
    expect(isFollowing({ ...DEFAULT, at: '5' })).toBe(false);
    expect(isFollowing({ ...DEFAULT, at: '5', follows: true })).toBe(true);
    expect(isFollowing({ ...DEFAULT, follows: false })).toBe(false);
  });

  it('selects by what the server can select by', () => {
    expect(eventFilter({ ...DEFAULT, actor: 'x' })).toBeNull();
    expect(eventFilter({ ...DEFAULT, types: toTypes('a.b, c.d a.b'), stream: 's' })).toEqual({ types: ['a.b', 'c.d'], streamId: 's' });
  });
});

describe('events that the page selects itself', () => {
  const event = (position: string, metadata: object) => ({
    id: position,
    position,
    category: 'task',
    streamId: 's',
    version: 1,
    eventId: `event-${position}`,
    type: 'task.started',
    recordedAt: '2026-03-01T00:00:00Z',
    metadataText: JSON.stringify(metadata),
  });
  const events = [
    event('1', { actor: 'user:Ada', command_id: 'c1', correlation_id: 'k' }),
    event('2', { actor: 'policy', command_id: 'c2', correlation_id: 'k', causation_id: 'event-1' }),
  ];
  const found = (actor: string, related: string) => rowsOf(events, { actor, related }).map(({ position }) => position);

  it('are those of an actor, and of any of their ids', () => {
    expect(found('', '')).toEqual(['1', '2']);
    expect(found('ADA', '')).toEqual(['1']);
    expect([found('', 'k'), found('', 'c2'), found('', 'event-1'), found('', 'event-2')]).toEqual([['1', '2'], ['2'], ['1', '2'], ['2']]);
    expect(found('ada', 'c2')).toEqual([]);
  });

  it('are read where metadata lacks what is optional', () => {
    const trace = { actor: 'a', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    expect(metadataOf(JSON.stringify(trace))).toEqual({
      actor: 'a',
      command: null,
      correlation: null,
      causation: null,
      trace: '0af7651916cd43dd8448eb211c80319c',
    });
    expect(metadataOf('[]').actor).toBe('');
  });
});

describe('JSON that is read', () => {
  it('is indented, and its numbers and texts are as they were', () => {
    expect(indentJson('{"a":[1,{"b":"x, {\\"y\\"}: "}],"e":{},"l":[ ],"n":12345678901234567890.10}')).toBe(
      ['{', '  "a": [', '    1,', '    {', '      "b": "x, {\\"y\\"}: "', '    }', '  ],', '  "e": {},', '  "l": [],', '  "n": 12345678901234567890.10', '}'].join('\n'),
    );
    expect(indentJson('"a"')).toBe('"a"');
  });

  it('has fields with the paths of JSON Pointers', () => {
    expect(fieldsOf({ a: { 'b/c': 1, 'd~': [true, null] }, e: {}, f: [] })).toEqual([
      { path: '/a/b~1c', value: 1 },
      { path: '/a/d~0/0', value: true },
      { path: '/a/d~0/1', value: null },
      { path: '/e', value: {} },
      { path: '/f', value: [] },
    ]);
    expect(fieldsOf(3)).toEqual([{ path: '', value: 3 }]);
    expect([showValue('x'), showValue(1), showValue([])]).toEqual(['x', '1', '[]']);
  });
});

describe('a local time', () => {
  it('is an instant of the zone of the reader, on both sides of a change of its clocks', () => {
    const instant = (text: string) => localToInstant(text, 'Europe/Berlin')?.toISOString();
    expect(instant('2026-03-01T14:05')).toBe('2026-03-01T13:05:00.000Z');
    expect(instant('2026-07-01T14:05:09')).toBe('2026-07-01T12:05:09.000Z');
    expect(instant('2026-03-29T03:30')).toBe('2026-03-29T01:30:00.000Z');
    expect([instant(''), instant('2026-13-01T00:00'), instant('yesterday')]).toEqual([undefined, undefined, undefined]);
  });
});
