import { CreateControlPlane } from './0001-create-control-plane.js';
import { CreateDataPlane } from './0002-create-data-plane.js';
import { AddFairness } from './0003-add-fairness.js';
import { AddSessions } from './0004-add-sessions.js';
import { AddStatistics } from './0005-add-statistics.js';
import { CompressWithLz4 } from './0006-compress-with-lz4.js';

/** Every migration in the order it runs. Listed, not globbed: tests and the build see the same list. */
export const migrations = [
  CreateControlPlane,
  CreateDataPlane,
  AddFairness,
  AddSessions,
  AddStatistics,
  CompressWithLz4,
];
