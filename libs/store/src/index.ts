export { Database, type DatabaseOptions, type PoolUse, type Query, type Statement } from './database.js';
export { Unavailable, asUnavailable } from './unavailable.js';
export { GATHER_EARLY, GroupCommit, type GroupCommitOptions, type Size } from './group-commit.js';
export { migrateDatabase, type MigrateOptions } from './migrate-database.js';
export { ensurePartitions, partitionsAheadDays } from './partitions.js';
export { removeOldPartitions, type RemovedPartitions, type RetentionClocks } from './remove-partitions.js';
export { TenantClocks, type TenantClocksRound } from './tenant-clocks.js';
export { storeReadiness, type Check } from './store-readiness.js';
export type { TenantScope } from './tenant-scope.js';
export { OPERATIONAL_EVENT_TYPES } from './operational-events.js';

export {
  EventIntake,
  MAX_BATCH_DELIVERIES,
  type EmitAnswer,
  type EmitRequest,
  type EmitResult,
  type EmittedEvent,
  type EventIntakeOptions,
} from './event-intake.js';
export { openTestDelivery, type EventToAccept } from './sql/accept-events.js';
export { deleteExpiredKeys, type KeyToTake } from './sql/idempotency-keys.js';
export {
  claimDeliveries,
  readPayloads,
  releaseClaims,
  type Lease,
  type LeaseTerms,
  type SuspectTerms,
} from './sql/claim-deliveries.js';
export { lookAtDue, offerNow, type Due, type LostLease } from './sql/offer-due.js';
export { pickBacklog, type PickedBacklog, type PickTerms } from './sql/pick-backlog.js';
export {
  recordAttempts,
  type AttemptRecord,
  type AttemptedFlow,
  type Recorded,
} from './sql/record-attempts.js';
export { cancelDelivery, cancelOpenDeliveriesOfDeleted, type CancelResult } from './sql/cancel-deliveries.js';
export { moveSubscription, type DecidedOn } from './sql/move-subscription.js';
export { recountInFlight } from './sql/recount-in-flight.js';
export { resendDelivery, type ResendResult } from './sql/resend-delivery.js';
export { type ReplaySelection } from './sql/replay-selection.js';
export {
  cancelReplay,
  countSelection,
  createReplay,
  deleteOldReplays,
  fixSelection,
  listReplays,
  readReplay,
  unsettledReplays,
  type Replay,
  type ReplayCount,
  type ReplayRequest,
} from './sql/replays.js';
export { finishReplay, walkReplay, withdrawReplay, type WalkResult } from './sql/walk-replay.js';
export { countBacklogs, type Backlog } from './sql/count-backlogs.js';
export {
  databaseSizeBytes,
  holderOf,
  partitionSizes,
  ranMigrations,
  type PartitionSize,
} from './sql/deployment-facts.js';
export { giveUpDuty, holdDuty, HOUSEKEEPING } from './sql/hold-duty.js';
export {
  countOpenDeliveries,
  readWaitAges,
  type OpenDeliveryCounts,
  type WaitAges,
} from './sql/count-open-deliveries.js';
export { countSubscriptions, type SubscriptionCounts } from './sql/count-subscriptions.js';
export {
  deleteOldStatistics,
  deleteStatisticsOfDeleted,
  foldTallies,
  type StatisticsBy,
} from './sql/fold-tallies.js';
export {
  rankSubscriptions,
  readStatistics,
  readStatisticsOfSubscriptions,
  type StatisticsRange,
  type StatisticsRank,
  type StatisticsStep,
  type StatisticsSubject,
  type SubscriptionStep,
} from './sql/read-statistics.js';
export {
  oldestBacklogs,
  readStanding,
  readStandingOf,
  type Standing,
  type SubscriptionStanding,
} from './sql/read-standing.js';
export {
  listDeliveries,
  readAttempts,
  readDelivery,
  type AttemptRow,
  type DeliveryFilter,
  type DeliveryRow,
} from './sql/list-deliveries.js';
export {
  readEventToExplain,
  readExplanationFacts,
  type EventToExplain,
  type SubscriptionsToExplain,
} from './sql/explain-event.js';
export { flowFactsOf } from './sql/flow-facts.js';
export { listEvents, readEvent, type EventFilter, type EventRow } from './sql/list-events.js';
export { endWithoutPayload } from './sql/end-without-payload.js';
export { expireDeliveries, MAX_EXPIRED_AT_ONCE } from './sql/expire-deliveries.js';
export { deleteOldResponses } from './sql/delete-old-content.js';
export { eraseAgain, erasePayload, type ErasurePosition } from './sql/erase-payload.js';
export { readServerFacts } from './sql/server-facts.js';
export { opensStoredSecrets } from './sql/opens-stored-secrets.js';
export { signingSecrets, type SigningSecret } from './sql/signing-secrets.js';
export { readEventExample } from './control/subscription-test-example.js';
export { openForSending } from './control/open-for-sending.js';
export { sealedHeaderContext, sealedSecretContext } from './control/subscription-sealing.js';
export {
  liveSecrets,
  rotateSecret,
  type LiveSecrets,
  type StoredSecret,
} from './control/subscription-secrets.js';
export {
  createSubscription,
  creationRefusal,
  deleteSubscription,
  getSubscription,
  listSubscriptions,
  patchSubscription,
  pauseSubscription,
  resumeSubscription,
  type CreateLimits,
  type CreationRefusal,
  type StoredSubscription,
  type SubscriptionChange,
} from './control/subscriptions.js';
export type { FlowState } from './control/subscription-flow.js';
export {
  loadSubscriptionsForSending,
  type SubscriptionForSending,
} from './control/subscriptions-for-sending.js';

export { SCOPES, covers, type Scope } from './control/api-key-scopes.js';
export { readApiKeyToken } from './control/api-key-token.js';
export { sameHash, type TokenParts } from './control/bearer-token.js';
export { readSessionToken, type SessionKind } from './control/session-token.js';
export {
  createSession,
  createSignInLink,
  deleteExpiredSessions,
  endSession,
  findSessions,
  takeSignInLink,
  type MadeSession,
  type NewSession,
  type PortalLook,
  type SessionRow,
} from './control/sessions.js';
export { ApiKey } from './control/api-key.js';
export {
  API_KEY_GOOD_FOR_MS,
  createApiKey,
  deleteApiKey,
  findApiKeySecrets,
  getApiKey,
  listApiKeys,
  touchApiKeys,
  type ApiKeySecret,
  type NewApiKey,
} from './control/api-keys.js';
export {
  CLAIM_MS,
  answerClaim,
  claimRequest,
  releaseClaim,
  renewClaim,
  type ClaimResult,
} from './control/request-claims.js';
export type { Slice } from './slice.js';
export { unknownEventTypes, unknownTenants } from './sql/find-unknown.js';
export { matchingEventTypes } from './sql/matching-event-types.js';
export { EventType } from './control/event-type.js';
export { deleteEventType, getEventType, listEventTypes, putEventType } from './control/event-types.js';
export { isNamedPosition, type Positioned } from './control/named-list.js';
export { Tenant } from './control/tenant.js';
export {
  deleteTenant,
  getTenant,
  listTenants,
  putTenant,
  type DeleteTenantResult,
} from './control/tenants.js';
