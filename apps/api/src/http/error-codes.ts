/** What one kind of refusal means, wherever it is raised. */
export interface ProblemKind {
  /** HTTP status it is answered with. */
  status: number;
  /** Short and always the same for this code (RFC 9457 `title`). */
  title: string;
  /** When it is answered, and what to do about it. Printed at /docs/errors and compared with docs/errors.md. */
  meaning: string;
}

/**
 * Every refusal the API can answer. The key is the `code` of the problem document and the anchor of its
 * documentation; a code that is not here does not compile. Codes are never renamed, only added.
 */
export const errorCodes = {
  malformed_request: {
    status: 400,
    title: 'The request is not valid HTTP',
    meaning:
      'The URL, a header or the framing of the body could not be read. Look at the client library or the proxy in between.',
  },
  malformed_json: {
    status: 400,
    title: 'The body is not valid JSON',
    meaning:
      'The body is missing, is not UTF-8 without a byte order mark, or does not parse; `detail` says where. Nothing was stored.',
  },
  unauthenticated: {
    status: 401,
    title: 'An API key is needed',
    meaning:
      'Send `Authorization: Bearer phk_…` with a key that exists, or sign in. A revoked key and a mistyped one are answered alike, and so are a sign-in link that was used and one that is too old.',
  },
  session_expired: {
    status: 401,
    title: 'The session is over',
    meaning:
      'The time of the cookie or portal token is up, or it was ended: by signing out, by revoking its API key or deleting its tenant. Sign in again, or open the portal anew.',
  },
  forbidden: {
    status: 403,
    title: 'The API key may not do this',
    meaning:
      'The key lacks the scope named in `detail`: make another key with that scope. Or it is bound to a tenant and asks for what is of all of them.',
  },
  csrf_token_invalid: {
    status: 403,
    title: 'The request does not come from a page of ours',
    meaning:
      'A request with the cookie of a session needs the `csrfToken` of `GET /v1/session` in the header `x-csrf-token`, unless it only reads; and it may not come from a page of another site. With an API key neither is needed.',
  },
  limit_not_yours: {
    status: 403,
    title: 'The limit is not yours to change',
    meaning:
      'How fast a subscription is sent to (`maxInFlight`, `rateLimit`) is set by the producer, and a session of the portal can only name it as it is; `errors` says how that is.',
  },
  not_found: {
    status: 404,
    title: 'There is nothing at this address',
    meaning: 'No route has this path. /docs lists those that exist.',
  },
  tenant_not_found: {
    status: 404,
    title: 'The tenant does not exist',
    meaning:
      'It was never made, was deleted, or belongs to others: a key bound to one tenant is answered this for every other one. In a strict deployment, make the tenant first.',
  },
  event_type_not_found: {
    status: 404,
    title: 'The event type does not exist',
    meaning: 'The catalogue of event types has no entry of this name.',
  },
  api_key_not_found: {
    status: 404,
    title: 'The API key does not exist',
    meaning: 'It was never made, was revoked, or belongs to another tenant.',
  },
  portal_session_not_found: {
    status: 404,
    title: 'The portal session does not exist',
    meaning: 'It was never made, is over, or belongs to another tenant.',
  },
  event_not_found: {
    status: 404,
    title: 'The event does not exist',
    meaning: 'It was never accepted, is older than the retention, or belongs to another tenant.',
  },
  subscription_not_found: {
    status: 404,
    title: 'The subscription does not exist',
    meaning: 'It was never made, was deleted, or belongs to another tenant.',
  },
  delivery_not_found: {
    status: 404,
    title: 'The delivery does not exist',
    meaning: 'It was never made, is older than the retention, or belongs to another tenant.',
  },
  replay_not_found: {
    status: 404,
    title: 'The replay does not exist',
    meaning: 'It was never made, is older than the retention of the log, or belongs to another tenant.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The address does not support this method',
    meaning: 'The `allow` header lists the methods it supports.',
  },
  request_timeout: {
    status: 408,
    title: 'The request took too long to arrive',
    meaning: 'The headers or the body were not complete in time. Send it again.',
  },
  idempotency_key_in_use: {
    status: 409,
    title: 'The first request with this Idempotency-Key is still running',
    meaning: 'It was waited for and did not finish. Send the same request again after a moment.',
  },
  tenant_not_empty: {
    status: 409,
    title: 'The tenant still owns something',
    meaning:
      'It has subscriptions or API keys. Delete them first, or delete everything with `?cascade=true`.',
  },
  delivery_in_flight: {
    status: 409,
    title: 'The delivery is being attempted right now',
    meaning: 'Wait for the attempt to end, at most half a minute, and ask again.',
  },
  delivery_finished: {
    status: 409,
    title: 'The delivery is already finished',
    meaning: 'Only a delivery that is pending can be cancelled.',
  },
  subscription_deleted: {
    status: 409,
    title: 'The subscription was deleted',
    meaning: 'There is nowhere to send to any more. Make a subscription and emit again.',
  },
  payload_erased: {
    status: 409,
    title: 'The payload was erased',
    meaning: 'Somebody erased it with `DELETE /v1/events/{id}/payload`, so there is nothing to send again.',
  },
  payload_expired: {
    status: 409,
    title: 'The payload is no longer kept',
    meaning: 'The retention of payloads has passed, so there is nothing to send again.',
  },
  replay_finished: {
    status: 409,
    title: 'The replay has already finished',
    meaning: 'Only a replay that is running can be cancelled.',
  },
  replay_limit_reached: {
    status: 409,
    title: 'As many replays are running as may run at once',
    meaning:
      'Wait until one has finished, or cancel one. A wider filter replays in one what several narrow ones do.',
  },
  subscription_limit_reached: {
    status: 409,
    title: 'The tenant has as many subscriptions as it may have',
    meaning: 'Delete some, or raise `MAX_SUBSCRIPTIONS_PER_TENANT` of the deployment.',
  },
  secret_limit_reached: {
    status: 409,
    title: 'The subscription has as many live signing secrets as it may have',
    meaning: 'Wait until the overlap of an earlier rotation ends, or rotate with an `overlapMs` of 0.',
  },
  diagnosis_running: {
    status: 409,
    title: 'The subscription is being diagnosed already',
    meaning: 'Wait for the first one to end, at most 20 s, and ask again after `retry-after` seconds.',
  },
  request_too_large: {
    status: 413,
    title: 'The request is too large',
    meaning:
      'The body exceeds `MAX_REQUEST_BYTES`, or 1 MiB where it holds no events, or 4 KiB where no key is asked for; `detail` says the limit.',
  },
  payload_too_large: {
    status: 413,
    title: 'The payload of an event is too large',
    meaning: 'The `data` of an event exceeds `MAX_PAYLOAD_BYTES`; `errors` names the event.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body is not JSON',
    meaning: 'Send `content-type: application/json`, without a `content-encoding`.',
  },
  expectation_failed: {
    status: 417,
    title: 'The expectation cannot be met',
    meaning: 'The only value of the `expect` header that is understood is `100-continue`.',
  },
  validation_failed: {
    status: 422,
    title: 'The request is not valid',
    meaning:
      '`errors` names each offending member by JSON pointer (`#/url`), or the query parameter (`#?limit`). Nothing was stored.',
  },
  invalid_cursor: {
    status: 422,
    title: 'The cursor is not valid',
    meaning: 'Use `nextCursor` and `prevCursor` of an earlier page unchanged, or leave the cursor out.',
  },
  invalid_idempotency_key: {
    status: 422,
    title: 'The Idempotency-Key is not valid',
    meaning: 'It is 1 to 255 printable ASCII characters, bare or as a quoted string.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    meaning: 'A key stands for one request body. Use a new key for a new request.',
  },
  too_many_deliveries: {
    status: 422,
    title: 'The batch makes too many deliveries',
    meaning:
      'A request of several events is stored as a whole, with a delivery for each subscription that matches each of them: together at most 50,000, where a subscription with two patterns that match counts twice. Send fewer events at once; a single event is never refused for this.',
  },
  external_id_reused: {
    status: 422,
    title: 'The externalId was used for another event',
    meaning:
      'An `externalId` stands for one event of its tenant. Repeating it with other content is refused; `errors` names the event.',
  },
  url_refused: {
    status: 422,
    title: 'The URL is not allowed',
    meaning:
      'Its scheme, host, port or address is refused; `detail` says why. An operator can allow `http:` and private targets for the deployment: `ALLOW_HTTP_TARGETS`, `ALLOWED_PRIVATE_TARGETS`. docs/security.md explains the policy.',
  },
  event_type_unknown: {
    status: 422,
    title: 'The event type is not in the catalogue',
    meaning:
      'This deployment is strict: add the event type to the catalogue first. Or the subscription is of the tenant `_system` and asks for what Posthorn never tells there; `detail` names what it tells.',
  },
  diagnosis_limit_reached: {
    status: 429,
    title: 'As many diagnoses are being made as may be made at once',
    meaning:
      'An api process makes four at once, two of them for keys and portals of one tenant, each at most 20 s long. Ask again after `retry-after` seconds.',
  },
  header_too_large: {
    status: 431,
    title: 'The headers are too large',
    meaning: 'All request headers together may have 16 KiB.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong on our side',
    meaning:
      'A defect. The request may or may not have been carried out. Report it with the `requestId`, under which the cause is logged.',
  },
  test_not_attempted: {
    status: 503,
    title: 'The test was not attempted in time',
    meaning:
      'It is stored, but no worker has finished it: see that one runs, and look at the delivery named in `detail`. It may still be sent.',
  },
  diagnosis_cancelled: {
    status: 503,
    title: 'The diagnosis was broken off',
    meaning:
      'The process that made it is stopping, or its client hung up. Nothing was changed: ask again after `retry-after` seconds.',
  },
  unavailable: {
    status: 503,
    title: 'The service cannot do this right now',
    meaning:
      'The database is unreachable or slow, or a limit in memory is reached. Send the request again after `retry-after` seconds.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ErrorCode = keyof typeof errorCodes;
