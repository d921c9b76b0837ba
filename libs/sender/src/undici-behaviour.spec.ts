/**
 * What we rely on undici for and could lose at an upgrade. The rest of it is in `hostile-receivers.spec.ts` (parser
 * errors, header limits, 1xx floods) and `sender.spec.ts` (kept connections, nothing sent twice).
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { addressPolicy } from '@posthorn/core';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { SentAttempt } from './attempt.js';
import { Sender } from './sender.js';

let server: Server;
let sender: Sender;
/** What came on each connection, in order. */
let connections: string[];
let answer: (socket: Socket, requestNumber: number) => void;

beforeEach(async () => {
  connections = [];
  let requestNumber = 0;
  server = createServer((socket) => {
    const index = connections.push('') - 1;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      connections[index] = (connections[index] ?? '') + chunk.toString('latin1');
      if (chunk.toString('latin1').includes('POST /')) answer(socket, requestNumber++);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  sender = new Sender({ policy: addressPolicy(['127.0.0.1']), allowHttp: true, userAgent: 'Posthorn/test' });
});
afterEach(async () => {
  await sender.close();
  await new Promise((resolve) => server.close(resolve));
});

function send(body = '{}'): Promise<SentAttempt> {
  const { port } = server.address() as AddressInfo;
  return sender.send({
    url: `http://127.0.0.1:${port}/`,
    headers: {},
    body: Buffer.from(body),
    timeoutMs: 5_000,
  });
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

describe('undici', () => {
  it('hands over 1xx heads apart from the final one', async () => {
    answer = (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n`.repeat(3) + OK);
    const sent = await send();
    expect(sent).toMatchObject({ statusCode: 200, response: { headers: [['content-length', '2']] } });
  });

  it('gives no request an answer that was there before it was sent', async () => {
    answer = (socket, requestNumber) => {
      if (requestNumber === 0) socket.write(OK + 'HTTP/1.1 201 Poisoned\r\ncontent-length: 2\r\n\r\nno');
      else socket.write(OK);
    };
    expect(await send()).toMatchObject({ statusCode: 200 });
    expect(await send()).toMatchObject({ statusCode: 200, connectionReused: false });
    expect(connections).toHaveLength(2);
  });

  it.each([
    ['two lengths', 'content-length: 2\r\ncontent-length: 3'],
    ['a length and chunks', 'content-length: 2\r\ntransfer-encoding: chunked'],
    ['a header with a line break inside', 'x-a: b\r\n folded\r\ncontent-length: 2'],
    ['a header name with a space', 'x a: b\r\ncontent-length: 2'],
  ])('refuses an answer with %s', async (_what, headers) => {
    answer = (socket) => socket.write(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\nok`);
    expect(await send()).toMatchObject({ outcome: 'unreachable', errorCode: 'response_invalid' });
  });

  it('takes header names that every object has', async () => {
    answer = (socket) =>
      socket.write(
        `HTTP/1.1 200 OK\r\nconstructor: a\r\n__proto__: b\r\ntoString: c\r\ncontent-length: 0\r\n\r\n`,
      );
    expect(await send()).toMatchObject({
      outcome: 'accepted',
      response: {
        headers: [
          ['constructor', 'a'],
          ['__proto__', 'b'],
          ['toString', 'c'],
          ['content-length', '0'],
        ],
      },
    });
  });

  it('leaves the chunks of a body as they were when it handed them over', async () => {
    const parts = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(2_000));
    answer = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const next = () => {
        const part = parts.shift();
        socket.write(part ? `7d0\r\n${part}\r\n` : '0\r\n\r\n');
        if (part) setImmediate(next);
      };
      next();
    };
    const expected = parts.join('');
    expect((await send()).response?.body.toString()).toBe(expected);
  });

  it('reads an answer that has neither length nor chunks to the end of the connection', async () => {
    answer = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end');
    const sent = await send();
    expect(sent.response).toMatchObject({ truncated: false, body: Buffer.from('until the end') });
  });

  it('does not keep a connection that the receiver is about to close', async () => {
    answer = (socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n`);
    expect(await send()).toMatchObject({ connectionReused: false });
    expect(await send()).toMatchObject({ connectionReused: false });
    expect(connections).toHaveLength(2);
  });

  it('takes the answer that comes before the request was read', async () => {
    answer = (socket) =>
      socket.write('HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    expect(await send('x'.repeat(4_000_000))).toMatchObject({ outcome: 'rejected', statusCode: 413 });
  });

  it('closes a kept connection whose next answer is not read to its end', async () => {
    const closed = new Promise<void>((resolve) => {
      answer = (socket, requestNumber) => {
        if (requestNumber === 0) {
          socket.write(OK);
        } else {
          socket.once('close', () => resolve());
          socket.write('HTTP/1.1 200 OK\r\n\r\n' + 'a'.repeat(20_000));
        }
      };
    });
    await send();
    expect(await send()).toMatchObject({ connectionReused: true, response: { truncated: true } });
    await closed;
  });

  it('sends the body with its length and never in chunks, also an empty one', async () => {
    answer = (socket) => socket.write(OK);
    await send('');
    await send('{"a":1}');
    expect(connections).toHaveLength(1);
    expect(connections[0]).toMatch(/content-length: 0\r\n\r\nPOST/);
    expect(connections[0]).toMatch(/content-length: 7\r\n\r\n\{"a":1\}$/);
    expect(connections[0]).not.toMatch(/transfer-encoding|expect:|upgrade/i);
  });
});
