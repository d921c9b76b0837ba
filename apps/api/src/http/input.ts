import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { readJson } from './json-body.js';
import { parse, parseQuery } from './parse.js';

/** The body as its schema says; throws `malformed_json` or `validation_failed`. Not for events: see events/. */
export function bodyOf<Schema extends z.ZodType>(request: FastifyRequest, schema: Schema): z.output<Schema> {
  return parse(schema, readJson(request.body as Buffer | undefined));
}

/** As `bodyOf`, but a request without a body counts as one with `{}`. */
export function optionalBodyOf<Schema extends z.ZodType>(
  request: FastifyRequest,
  schema: Schema,
): z.output<Schema> {
  const body = request.body as Buffer | undefined;
  return parse(schema, body === undefined || body.length === 0 ? {} : readJson(body));
}

/** The query parameters as their schema says; throws `validation_failed`. Values arrive as text. */
export function queryOf<Schema extends z.ZodType>(request: FastifyRequest, schema: Schema): z.output<Schema> {
  return parseQuery(schema, request.query);
}

/** The parameters in the path as their schema says; throws `validation_failed` with pointers like `#:id`. */
export function paramsOf<Schema extends z.ZodType>(
  request: FastifyRequest,
  schema: Schema,
): z.output<Schema> {
  return parse(schema, { ...(request.params as object) }, '#:');
}
