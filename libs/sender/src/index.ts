export type { AttemptPhases, OutgoingRequest, ReceivedResponse, SentAttempt } from './attempt.js';
export type { DiagnosisRequest } from './diagnose-target.js';
export type { Resolve, ResolvedAddress } from './name-resolver.js';
export { Sender, type SenderOptions } from './sender.js';
export { requestForm, type RequestForm } from './request-form.js';
export { signedRequest, type RequestTerms, type SignedRequest } from './signed-request.js';
