// Who may import whom. Each rule names the harm it prevents; `npm run imports` enforces them.
const lib = (name) => `^libs/${name}/`;
const owner = (name, comment, technologies, libs) => ({
  name,
  comment,
  severity: 'error',
  from: { pathNot: `^(${libs.join('|')})/` },
  to: { path: `node_modules/(${technologies.join('|')})/` },
});

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'A cycle cannot be understood one file at a time.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'A module nobody imports is dead code.',
      severity: 'error',
      from: {
        orphan: true,
        path: '^(apps|libs)/',
        pathNot: '(\\.spec\\.ts$|/main\\.tsx?$|/vite\\.config\\.ts$)',
      },
      to: {},
    },
    {
      name: 'apps-never-import-apps',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'libs-never-import-apps',
      severity: 'error',
      from: { path: '^(libs|migrations)/' },
      to: { path: '^apps/' },
    },
    {
      name: 'enter-a-lib-by-its-front-door',
      severity: 'error',
      from: { path: '^(apps|libs|migrations|test)/([^/]+)/' },
      to: { path: '^libs/([^/]+)/src/', pathNot: ['^libs/[^/]+/src/index\\.ts$', '^$1/$2/'] },
    },
    {
      name: 'core-depends-on-nothing',
      severity: 'error',
      from: { path: lib('core'), pathNot: '\\.spec\\.ts$' },
      to: { pathNot: [lib('core'), '^(node:)?(crypto|net|buffer)$', 'node_modules/(uuid|zod)/'] },
    },
    {
      name: 'adapters-know-only-core',
      severity: 'error',
      from: { path: '^libs/(store|queue|sender)/', pathNot: '\\.spec\\.ts$' },
      to: {
        path: '^(libs/(store|queue|sender|runtime|testing)|migrations)/',
        pathNot: ['^libs/core/', '^$1', '^libs/$1/'],
      },
    },
    {
      name: 'runtime-knows-nobody',
      severity: 'error',
      from: { path: lib('runtime'), pathNot: '\\.spec\\.ts$' },
      to: { path: '^libs/(?!runtime|core)' },
    },
    {
      name: 'testing-stays-in-tests',
      severity: 'error',
      from: {
        path: '^(apps|libs)/',
        pathNot: ['\\.spec\\.ts$', '\\.contract\\.ts$', lib('testing'), '^apps/[^/]+/test/'],
      },
      to: { path: lib('testing') },
    },
    owner(
      'postgres-lives-in-store',
      'One owner of pg and TypeORM.',
      ['pg', 'typeorm'],
      ['libs/store', 'libs/queue', 'libs/testing', 'migrations', 'test', 'scripts'],
    ),
    owner(
      'redis-lives-in-queue',
      'One owner of BullMQ and ioredis.',
      ['bullmq', 'ioredis'],
      ['libs/queue', 'libs/testing', 'test', 'scripts'],
    ),
    owner(
      'http-lives-in-sender',
      'One owner of undici: nobody else may reach an untrusted URL.',
      ['undici'],
      ['libs/sender', 'libs/testing', 'test', 'scripts'],
    ),
    owner(
      'browsers-get-the-dashboard',
      'What runs in a browser is one app, and no process loads it.',
      ['react', 'react-dom', 'react-router', '@tanstack', 'uplot', 'openapi-fetch', 'vite'],
      ['apps/dashboard'],
    ),
    {
      name: 'dashboard-knows-the-api-only',
      comment: 'What it shows anybody can ask for; rules that it repeated would differ one day.',
      severity: 'error',
      from: { path: '^apps/dashboard/' },
      to: { path: '^(libs|migrations|test|scripts)/' },
    },
    owner(
      'metrics-live-in-runtime',
      'One owner of prom-client: what is measured is not tied to how it is shown.',
      ['prom-client'],
      ['libs/runtime'],
    ),
    owner(
      'nest-lives-in-apps',
      'Rules and adapters are testable without a framework.',
      ['@nestjs', 'fastify', '@fastify'],
      ['apps', 'test'],
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
