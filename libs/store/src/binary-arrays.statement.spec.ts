import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@posthorn/testing';
import fc from 'fast-check';
import pg from 'pg';
import { bools, byteStrings, doubles, ints, reals, texts, timestamps, uuids } from './binary-arrays.js';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);
afterAll(async () => {
  await client.end();
  await database.drop();
});

/** What the server understood, as the driver reads it from text. */
async function understood(type: string, array: Buffer): Promise<unknown> {
  const { rows } = await client.query<{ is: unknown }>(`select $1::${type}[] as is`, [array]);
  return rows[0]?.is;
}

const text = fc.string({ unit: 'grapheme' }).map((any) => any.replaceAll('\0', ''));
const moment = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
const real = fc.integer({ min: -(2 ** 20), max: 2 ** 20 }).map((eighths) => eighths / 8); // printed without rounding
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((any) => (any === 0 ? 0 : any));

describe('an array in binary', () => {
  it.each<[string, (values: never) => Buffer, fc.Arbitrary<unknown>]>([
    ['uuid', uuids, fc.uuid()],
    ['int', ints, fc.integer()],
    ['float8', doubles, double],
    ['real', reals, real],
    ['bool', bools, fc.boolean()],
    ['text', texts, text],
    ['timestamptz', timestamps, moment],
    ['bytea', byteStrings, fc.uint8Array().map((bytes) => Buffer.from(bytes))],
  ])('of %s is what the server understands, empty and with nulls too', async (type, encode, element) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(element)), async (values) => {
        expect(await understood(type, encode(values as never))).toEqual(values);
      }),
      { numRuns: 100 },
    );
  });

  it('is refused for a parameter of another type', async () => {
    await expect(understood('text', ints([1]))).rejects.toThrow(/element type|wrong/);
  });
});
