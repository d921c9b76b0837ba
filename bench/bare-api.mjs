// The least that accepting an event takes: Fastify, which parses it as JSON and answers 202. A part, see part.mjs.
import { fastify } from 'fastify';
import { serve } from './part.mjs';

serve({
  async listen() {
    const app = fastify();
    let accepted = 0;
    app.post('/v1/events', (request, reply) => {
      reply.code(202);
      return { id: `evt_${++accepted}`, type: request.body.type, createdAt: new Date() };
    });
    return app.listen({ port: 0, host: '127.0.0.1' });
  },
});
