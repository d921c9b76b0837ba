import { RouteConfig } from '@nestjs/platform-fastify';
import type { z } from 'zod';
import type { ErrorCode } from './error-codes.js';
import type { Scope } from '@posthorn/store';

/** What is answered with one status. */
export interface Answer {
  description: string;
  /** Absent: no body. */
  schema?: z.ZodType;
  /** `application/json` unless it says otherwise. */
  contentType?: string;
  /** Header name → what it holds. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * What one route of the API takes and answers. Declared beside the schemas that validate it; the route
 * itself, the check of the scope and the OpenAPI document are all made from this one value.
 */
export interface Operation {
  /** OpenAPI `operationId`, unique: what generated clients call it. */
  id: string;
  tag: string;
  summary: string;
  description?: string;
  /** The scope that whoever asks needs; `any`: to be known, whatever they may do; `null`: nothing at all. */
  scope: Scope | 'any' | null;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Whether the body may be left out. */
  bodyOptional?: boolean;
  answers: Readonly<Partial<Record<200 | 201 | 202 | 204 | 302 | 503, Answer>>>;
  /** Codes of its own; those that any route can answer are added. */
  problems?: readonly ErrorCode[];
  /**
   * Every POST honours `Idempotency-Key` through http/idempotency.ts, unless it does so in its own transaction, or has
   * nothing to repeat: it changes nothing, and its answer is not to be kept.
   */
  idempotency?: 'own' | 'none';
  /** Answered from memory, so that it is there when the store is not; see `Authenticator`. */
  outlivesStore?: true;
}

/** Declares an operation; exists so that its type is checked where it is written. */
export function operation<const Declared extends Operation>(declared: Declared): Declared {
  return declared;
}

/** Ties a controller's method to the operation it serves. Every route needs one, or the app does not start. */
export function Serves(served: Operation): MethodDecorator {
  return RouteConfig({ operation: served });
}
