import { addressPolicy } from '@posthorn/core';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Connections } from './connections.js';
import { DeadlineWheel } from './deadline-wheel.js';
import { Dialler } from './dialler.js';
import { NameResolver } from './name-resolver.js';
import type { Target } from './targets.js';

const names = new NameResolver({ resolve: () => Promise.resolve([]), deadlines: new DeadlineWheel() });
const connections = new Connections(new Dialler({ policy: addressPolicy([]), names }));
afterEach(async () => {
  jest.restoreAllMocks();
  await connections.close();
});

function target(host: string): Target {
  return { origin: `http://${host}`, host, port: 80, isHttps: false, path: '/' };
}

describe('Connections', () => {
  it('gives the one used last to the next attempt at the same origin, and to nobody else', () => {
    const [first, second] = [connections.take(target('a.test')), connections.take(target('a.test'))];
    connections.onFree(first);
    connections.onFree(second);
    expect(connections.take(target('b.test'))).not.toBe(first);
    expect(connections.take(target('a.test'))).toBe(second);
    expect(connections.take(target('a.test'))).toBe(first);
    expect(connections.take(target('a.test'))).not.toBe(first);
  });

  it('keeps 512 unused ones and closes the longest unused of more', () => {
    const taken = Array.from({ length: 513 }, (_, i) => connections.take(target(`n${i}.test`)));
    for (const connection of taken) connections.onFree(connection);
    expect(connections.take(target('n0.test'))).not.toBe(taken[0]);
    for (const i of [1, 256, 512]) expect(connections.take(target(`n${i}.test`))).toBe(taken[i]);
  });

  it('does not use one again that is older than a minute', () => {
    const now = performance.now();
    const connection = connections.take(target('a.test'));
    jest.spyOn(performance, 'now').mockReturnValue(now + 59_000);
    connections.onFree(connection);
    expect(connections.take(target('a.test'))).toBe(connection);
    jest.spyOn(performance, 'now').mockReturnValue(now + 61_000);
    connections.onFree(connection);
    expect(connections.take(target('a.test'))).not.toBe(connection);
  });

  it('forgets one that has gone while it was free', async () => {
    const connection = connections.take(target('a.test'));
    connections.onFree(connection);
    await connection.close();
    expect(connections.take(target('a.test'))).not.toBe(connection);
  });
});
