import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_EVENT_TYPE_LENGTH, isEventType, isEventTypePattern, patternsMatching } from './event-type.js';

const part = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
const eventType = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('.'));
const MALFORMED = [
  '',
  '.',
  'a.',
  '.a',
  'a..b',
  'a b',
  'a.b ',
  'a\n',
  'é',
  'a/b',
  'a:b',
  'a*',
  '**',
  '*.a',
  'a.*.b',
];

describe('an event type', () => {
  it.each(['invoice', 'invoice.paid', 'a-b_c.D.9', 'x'.repeat(128)])('may be %s', (text) => {
    expect(isEventType(text)).toBe(true);
    expect(isEventTypePattern(text)).toBe(true);
  });

  it.each([...MALFORMED, '*', 'a.*'])('may not be "%s"', (text) => {
    expect(isEventType(text)).toBe(false);
  });

  it('is at most 128 characters long', () => {
    expect(MAX_EVENT_TYPE_LENGTH).toBe(128);
    expect(isEventType('x'.repeat(129))).toBe(false);
  });

  it('is judged in linear time, however long', () => {
    expect(isEventType('a.'.repeat(5_000_000))).toBe(false);
    expect(isEventTypePattern(`${'a-'.repeat(60)}!`)).toBe(false);
  });
});

describe('a pattern', () => {
  it.each(['*', 'invoice.*', 'invoice.paid.*', `${'x'.repeat(126)}.*`])('may be %s', (text) => {
    expect(isEventTypePattern(text)).toBe(true);
  });

  it.each([...MALFORMED, '.*', 'a.**', 'a.b*', 'a.*.*', '*.*', `${'x'.repeat(127)}.*`])(
    'may not be "%s"',
    (text) => {
      expect(isEventTypePattern(text)).toBe(false);
    },
  );

  it.each([
    ['invoice', ['*', 'invoice']],
    ['invoice.paid', ['*', 'invoice.*', 'invoice.paid']],
    ['a.b.c', ['*', 'a.*', 'a.b.*', 'a.b.c']],
  ])('that matches %s is one of %j', (type, patterns) => {
    expect(patternsMatching(type)).toEqual(patterns);
  });

  it('matches at any depth below its prefix, and not the prefix itself', () => {
    fc.assert(
      fc.property(eventType, eventType, (type, other) => {
        const matches = (pattern: string) => patternsMatching(type).includes(pattern);
        expect(matches('*')).toBe(true);
        expect(matches(type)).toBe(true);
        expect(matches(`${type}.*`)).toBe(false);
        expect(matches(`${other}.*`)).toBe(type.startsWith(`${other}.`));
        expect(patternsMatching(type).every(isEventTypePattern)).toBe(true);
        expect(patternsMatching(`${type}.${other}`)).toContain(`${type}.*`);
      }),
    );
  });
});
