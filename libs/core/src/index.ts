export type { AddressPolicy } from './address-policy.js';
export { addressPolicy } from './address-policy.js';
export { checkCustomHeaders } from './custom-headers.js';
export type {
  CertificateFacts,
  Diagnosis,
  DiagnosisAudience,
  DiagnosisFacts,
  DiagnosisStep,
} from './diagnosis.js';
export { diagnose } from './diagnose.js';
export { DURATION_BUCKETS, durationBucket, durationPercentile } from './duration-buckets.js';
export type { EnvelopeSpan } from './envelope.js';
export { deliveryBody, scanEnvelopes } from './envelope.js';
export { MAX_EVENT_TYPE_LENGTH, isEventType, isEventTypePattern, patternsMatching } from './event-type.js';
export { explainSignature } from './explain-signature.js';
export { explainNone } from './explain-absent.js';
export { explain, nextAttemptOf } from './explain.js';
export type {
  DeliveryFacts,
  Explanation,
  ExplanationAudience,
  ExplanationCode,
  ExplanationFacts,
} from './explanation.js';
export { EXPLANATION_ACTION_CODES, EXPLANATION_CODES } from './explanation.js';
export type { IdPrefix } from './ids.js';
export { AscendingUuids, decodeId, encodeId, firstUuidAt, uuid7, uuidTimeMs } from './ids.js';
export type { Lane } from './lanes.js';
export { LANES, inTurn, nextLane } from './lanes.js';
export type {
  AttemptResult,
  AttemptedDelivery,
  Decision,
  DeliveryMove,
  DeliveryState,
  FinishReason,
  FinishedState,
  OpenState,
  SubscriptionEffect,
  Trigger,
} from './lifecycle.js';
export { afterAttempt } from './lifecycle.js';
export type { AttemptErrorCode, Outcome } from './outcome.js';
export { outcomeOfStatus, parseRetryAfterMs } from './outcome.js';
export type { Pace, RateLimit } from './rate-limit.js';
export { BURST_MS, afterTaking, paceOf, tokensAt, tokensDueAtMs } from './rate-limit.js';
export type { RetryPolicy, ScheduledAttempt } from './retry-policy.js';
export { DEFAULT_RETRY_POLICY, retryDelayMs, retrySchedule } from './retry-policy.js';
export type {
  KnownKey,
  SentAttempt,
  SentDelivery,
  SignatureCheck,
  SignatureFinding,
  SignatureFindingCode,
  SignatureVerdict,
} from './signature-check.js';
export { SIGNATURE_FINDING_CODES } from './signature-check.js';
export { shownBody } from './shown-body.js';
export { formatSecret, parseSecret, sign } from './signing.js';
export type { HealthMove, HealthThresholds, SubscriptionHealth } from './subscription-health.js';
export { nextHealth } from './subscription-health.js';
export type { UrlRefusal, UrlRules } from './target-url.js';
export { checkTargetUrl } from './target-url.js';
export { DEFAULT_TENANT, SYSTEM_TENANT, isTenantId } from './tenant.js';
export type { FlowFacts, WaitReason } from './waiting.js';
export { nextAttemptMs, waitOf } from './waiting.js';
