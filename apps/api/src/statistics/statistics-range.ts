import type { StatisticsRange } from '@posthorn/store';
import { validationFailed } from '../http/parse.js';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** For as long figures are kept by the minute. */
const MINUTES_KEPT_MS = 3 * DAY_MS;
export const MAX_POINTS = 1500;
/** Of the steps below, the first that gives no more points than this is taken where none is asked for. */
const WANTED_POINTS = 120;
/** Steps that fall on round times of the day. */
const STEPS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE_MS),
  ...[1, 2, 3, 6, 12, 24].map((hours) => hours * HOUR_MS),
];

export interface AskedRange {
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
  stepMs?: number | undefined;
}

/**
 * The time that is answered for what was asked: whole steps, on times that are multiples of the step since 1970, that
 * cover it. Until now and since `defaultMs` before that, unless something else was asked for. By the minute while
 * minutes are kept and the step does not need hours; the step is rounded up to what the figures are kept by.
 *
 * @throws ProblemError `validation_failed` when it ends before it begins or has more than 1,500 points
 */
export function statisticsRange(asked: AskedRange, nowMs: number, defaultMs = HOUR_MS): StatisticsRange {
  const untilMs = asked.untilMs ?? nowMs;
  const sinceMs = asked.sinceMs ?? untilMs - defaultMs;
  if (sinceMs >= untilMs) {
    throw validationFailed([
      {
        pointer: asked.sinceMs === undefined ? '#?until' : '#?since',
        detail: asked.untilMs === undefined ? 'must be before now' : 'must be before `until`',
      },
    ]);
  }

  const by = sinceMs >= nowMs - MINUTES_KEPT_MS ? 'minutes' : 'hours';
  const unitMs = by === 'minutes' ? MINUTE_MS : HOUR_MS;
  const stepMs = Math.ceil((asked.stepMs ?? defaultStep(untilMs - sinceMs, unitMs)) / unitMs) * unitMs;
  const range: StatisticsRange = {
    sinceMs: Math.floor(sinceMs / stepMs) * stepMs,
    untilMs: Math.ceil(untilMs / stepMs) * stepMs,
    stepMs,
    by: stepMs % HOUR_MS === 0 ? 'hours' : by,
  };
  const points = (range.untilMs - range.sinceMs) / stepMs;
  if (points > MAX_POINTS) {
    throw validationFailed([
      {
        pointer: asked.stepMs === undefined ? '#?since' : '#?stepMs',
        detail: `gives ${points} points, which are more than ${MAX_POINTS}`,
      },
    ]);
  }
  return range;
}

function defaultStep(lengthMs: number, unitMs: number): number {
  const fits = (stepMs: number): boolean => stepMs >= unitMs && lengthMs / stepMs <= WANTED_POINTS;
  return STEPS_MS.find(fits) ?? Math.ceil(lengthMs / WANTED_POINTS / DAY_MS) * DAY_MS;
}
