// Run through `npm test` (or `npm run jest`): Nest 12 is ESM-only, so jest needs --experimental-vm-modules.
const common = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { module: { type: 'es6' } }] },
  moduleNameMapper: {
    '^@posthorn/migrations$': '<rootDir>/migrations/index.ts',
    '^@posthorn/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
    '^(\\.{1,2}/.+)\\.js$': '$1', // TypeScript sources import './x.js'
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
};
const withDatabase = {
  globalSetup: '<rootDir>/test/global-setup.mjs',
  globalTeardown: '<rootDir>/test/global-teardown.mjs',
};

export default {
  maxWorkers: 2, // what waits in one file is time for another, also on two cores
  workerIdleMemoryLimit: '1GB',
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{apps,libs,test}/**/*.spec.ts'],
      testPathIgnorePatterns: ['\\.(statement|contract|system|browser)\\.spec\\.ts$'],
    },
    {
      ...common,
      ...withDatabase,
      displayName: 'statement',
      testMatch: ['<rootDir>/{apps,libs}/**/*.statement.spec.ts'],
    },
    {
      ...common,
      ...withDatabase,
      displayName: 'contract',
      testMatch: ['<rootDir>/{apps,libs}/**/*.contract.spec.ts'],
    },
    { ...common, ...withDatabase, displayName: 'system', testMatch: ['<rootDir>/test/**/*.system.spec.ts'] },
    {
      ...common,
      ...withDatabase,
      displayName: 'browser',
      testMatch: ['<rootDir>/test/browser/*.browser.spec.ts'],
    },
  ],
};
