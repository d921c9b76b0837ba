import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

/** What the server says to one type of question: addresses, a response code (RFC 1035 §4.1.1), or nothing. */
export type DnsReply = readonly string[] | { rcode: number } | 'silent';

export interface FakeNameServer {
  /** `127.0.0.1:port`, as `Resolver.setServers` wants it. */
  server: string;
  /** Questions so far, as `A name` or `AAAA name`. */
  asked: string[];
  close(): void;
}

const TYPES: Partial<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' };

/** A name server on loopback over UDP, enough of one to try a real resolver. Names it lacks do not exist (3). */
export async function startFakeNameServer(
  names: Record<string, { A?: DnsReply; AAAA?: DnsReply }>,
  ttlS = 30,
): Promise<FakeNameServer> {
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, type, end } = question(query);
    asked.push(`${type ?? '?'} ${name}`);
    const reply = names[name] ? ((type && names[name][type]) ?? []) : { rcode: 3 };
    if (reply !== 'silent') socket.send(response(query, end, reply, ttlS), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { server: `127.0.0.1:${socket.address().port}`, asked, close: () => void socket.close() };
}

function question(query: Buffer): { name: string; type: 'A' | 'AAAA' | undefined; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: TYPES[query.readUInt16BE(at + 1)], end: at + 5 };
}

function response(query: Buffer, end: number, reply: Exclude<DnsReply, 'silent'>, ttlS: number): Buffer {
  const addresses = 'rcode' in reply ? [] : reply;
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2); // the question's id
  header.writeUInt16BE(0x8180 | ('rcode' in reply ? reply.rcode : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    const bytes = addressBytes(address);
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0); // "the name in the question"
    record.writeUInt16BE(bytes.length === 4 ? 1 : 28, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(ttlS, 6);
    record.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([header, query.subarray(12, end), ...records]);
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const [before, after] = [groups(head), groups(tail)];
  const bytes = Buffer.alloc(16);
  before.forEach((group, i) => bytes.writeUInt16BE(group, i * 2));
  after.forEach((group, i) => bytes.writeUInt16BE(group, 16 - (after.length - i) * 2));
  return bytes;
}
