/**
 * An event type name: dotted, `invoice.paid`; every part of letters, digits, `_` and `-`. Case matters.
 * Test it together with MAX_EVENT_TYPE_LENGTH, or use `isEventType`.
 */
const EVENT_TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Longest event type and longest pattern, in characters. */
export const MAX_EVENT_TYPE_LENGTH = 128;

/** Whether an event may have this type. */
export function isEventType(text: string): boolean {
  return text.length <= MAX_EVENT_TYPE_LENGTH && EVENT_TYPE.test(text);
}

/**
 * Whether a subscription may ask for this: an exact event type, `prefix.*` or `*`. A star stands only
 * for whole parts and only at the end.
 */
export function isEventTypePattern(text: string): boolean {
  if (text === '*') return true;
  if (text.length > MAX_EVENT_TYPE_LENGTH) return false;
  return EVENT_TYPE.test(text.endsWith('.*') ? text.slice(0, -2) : text);
}

/**
 * Every pattern that matches `eventType`, from the widest to the type itself: for `invoice.paid` they are
 * `*`, `invoice.*` and `invoice.paid`. A prefix matches at any depth below it and not itself. At most one
 * more than the type has parts, so a statement can look subscriptions up by equality.
 */
export function patternsMatching(eventType: string): string[] {
  const patterns = ['*'];
  for (let dot = eventType.indexOf('.'); dot !== -1; dot = eventType.indexOf('.', dot + 1)) {
    patterns.push(`${eventType.slice(0, dot)}.*`);
  }
  patterns.push(eventType);
  return patterns;
}
