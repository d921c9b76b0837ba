import helmet from '@fastify/helmet';
import { expect, it } from '@jest/globals';
import { fastify } from 'fastify';
import { SECURITY_HEADERS } from './security-headers.js';

it('are those that helmet sets', async () => {
  const app = fastify();
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    hsts: false,
  });
  app.get('/', (_request, reply) => reply.raw.getHeaders());
  try {
    const answer = await fetch(await app.listen({ port: 0, host: '127.0.0.1' }));
    expect(await answer.json()).toEqual(SECURITY_HEADERS);
  } finally {
    await app.close();
  }
});
