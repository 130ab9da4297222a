/**
 * The one table of errors. Every failure a user can meet has a code here; both sides map a code to an HTTP status,
 * a retry hint and an exit code the same way. Match on `code`, never on class identity or message.
 */

/** `status`: HTTP status; `retryable`: whether the same request may succeed later; `exit`: exit code of the command line. */
export type ErrorRow = { readonly status: number; readonly retryable: boolean; readonly exit: number };

const invalid = { status: 400, retryable: false, exit: 2 } as const;
const broken = { status: 500, retryable: false, exit: 3 } as const;

/** Every code, with its row. */
export const ERRORS = {
  // what the caller sent
  invalid_value: invalid,
  invalid_json: invalid,
  input_empty: invalid,
  input_too_long: invalid,
  unsupported_format: invalid,
  unsupported_language: invalid,
  ssml_invalid: invalid,
  voice_not_found: { status: 404, retryable: false, exit: 2 },
  model_not_found: { status: 404, retryable: false, exit: 2 },
  not_found: { status: 404, retryable: false, exit: 2 },
  job_not_found: { status: 404, retryable: false, exit: 2 },
  job_not_finished: { status: 409, retryable: true, exit: 4 },
  method_not_allowed: { status: 405, retryable: false, exit: 2 },
  audio_invalid: invalid,
  audio_too_short: invalid,
  audio_too_long: invalid,
  audio_sample_rate_too_low: invalid,
  audio_silent: invalid,
  audio_unsuitable: invalid,
  voice_prompt_invalid: invalid,
  voice_prompt_needed: { status: 409, retryable: true, exit: 1 },
  consent_required: { status: 422, retryable: false, exit: 2 },
  consent_in_use: { status: 409, retryable: false, exit: 2 },
  url_refused: invalid,
  body_too_large: { status: 413, retryable: false, exit: 2 },
  unsupported_media_type: { status: 415, retryable: false, exit: 2 },
  multipart_invalid: invalid,
  body_too_slow: { status: 408, retryable: true, exit: 4 },
  rate_limit_exceeded: { status: 429, retryable: true, exit: 4 },
  concurrency_limit_exceeded: { status: 429, retryable: true, exit: 4 },
  insufficient_quota: { status: 429, retryable: false, exit: 2 },
  idempotency_in_progress: { status: 409, retryable: true, exit: 4 },
  idempotency_key_reused: { status: 422, retryable: false, exit: 2 },
  invalid_api_key: { status: 401, retryable: false, exit: 2 },
  token_expired: { status: 401, retryable: false, exit: 2 },
  already_exists: { status: 409, retryable: false, exit: 2 },
  forbidden: { status: 403, retryable: false, exit: 2 },
  signature_invalid: { status: 401, retryable: false, exit: 2 },
  // the files on disk
  checkpoint_not_found: { status: 500, retryable: false, exit: 3 },
  checkpoint_invalid: broken,
  checkpoint_refused: broken,
  conversion_failed: broken,
  disk_full: { status: 507, retryable: true, exit: 4 },
  download_failed: { status: 502, retryable: true, exit: 4 },
  hash_mismatch: broken,
  // the machine
  provider_unavailable: { status: 500, retryable: false, exit: 3 },
  overloaded: { status: 503, retryable: true, exit: 4 },
  draining: { status: 503, retryable: true, exit: 4 },
  store_unavailable: { status: 503, retryable: true, exit: 4 },
  not_configured: { status: 501, retryable: false, exit: 3 },
  no_node_available: { status: 503, retryable: true, exit: 4 },
  deadline_exceeded: { status: 504, retryable: true, exit: 4 },
  cancelled: { status: 499, retryable: true, exit: 130 },
  generation_failed: { status: 500, retryable: true, exit: 1 },
  internal_error: { status: 500, retryable: true, exit: 1 },
} as const satisfies Record<string, ErrorRow>;

/** A code of the table. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * A failure with a code of the table. `message` is one line for the person who asked: what is wrong and what to do.
 * It never holds request text, audio or secrets. `param` names the offending field or option.
 */
export class CosyError extends Error {
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; param?: string; retryAfterMs?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CosyError';
    this.code = code;
    this.param = options.param;
    this.retryAfterMs = options.retryAfterMs;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get exitCode(): number {
    return ERRORS[this.code].exit;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

/** True for a failure with a code, also one that crossed a thread or process boundary and lost its class. */
export function isCosyError(value: unknown): value is CosyError {
  return value instanceof Error && 'code' in value && typeof value.code === 'string' && value.code in ERRORS;
}
