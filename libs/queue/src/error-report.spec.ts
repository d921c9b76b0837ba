import { describe, expect, it } from '@jest/globals';
import { ErrorReport } from './error-report.js';

describe('ErrorReport', () => {
  let nowMs = 0;
  const open = () => {
    nowMs = 0;
    const told: string[] = [];
    return {
      told,
      report: new ErrorReport(
        (error) => void told.push(error.message),
        () => nowMs,
      ),
    };
  };

  it('tells the same error once in ten seconds, and another at once', () => {
    const { told, report } = open();
    for (const atMs of [0, 1, 9_999, 10_000, 10_001]) {
      nowMs = atMs;
      report.tell(new Error('refused'));
    }
    report.tell('closed');
    expect(told).toEqual(['refused', 'refused', 'closed']);
  });

  it('remembers a bounded number of errors, the latest', () => {
    const { told, report } = open();
    for (let n = 0; n <= 50; n++) report.tell(new Error(`error ${n}`));
    report.tell(new Error('error 1'));
    expect(told).toHaveLength(51);
    report.tell(new Error('error 0'));
    expect(told).toHaveLength(52);
  });

  it('survives a listener that throws', () => {
    const report = new ErrorReport(() => {
      throw new Error('broken listener');
    });
    expect(() => report.tell(new Error('refused'))).not.toThrow();
  });
});
