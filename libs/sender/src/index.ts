export type { AttemptPhases, OutgoingRequest, ReceivedResponse, SentAttempt } from './attempt.js';
export type { Resolve, ResolvedAddress } from './name-resolver.js';
export { Sender, type SenderOptions } from './sender.js';
export { headersOnTheWire } from './wire-headers.js';
