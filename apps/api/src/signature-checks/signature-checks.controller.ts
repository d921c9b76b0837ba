import { Controller, HttpCode, Post, Req } from '@nestjs/common';
import { SecretBox } from '@posthorn/runtime';
import { Database } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { bodyOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { principalOf, scopeOf } from '../http/principal.js';
import { checkSignature } from './check-signature.js';
import { checkSignatureOperation, signatureCheck } from './signature-checks.schema.js';

/** For whoever writes a receiver. */
@Controller('v1/signature-checks')
export class SignatureChecksController {
  constructor(
    private readonly db: Database,
    private readonly box: SecretBox,
  ) {}

  @Post()
  @HttpCode(200)
  @Serves(checkSignatureOperation)
  async check(@Req() request: FastifyRequest) {
    const asked = bodyOf(request, signatureCheck);
    return checkSignature({ db: this.db, box: this.box }, scopeOf(principalOf(request)), asked);
  }
}
