// The table of job errors: every code that an attempt can end with.

/** One kind of failed attempt. `retryable` says whether the same job may succeed later. */
export interface JobErrorKind {
  readonly retryable: boolean
  readonly meaning: string
}

/** Every `error.code` a job can carry. */
export const jobErrors = {
  expired: { retryable: false, meaning: 'The job had not started when its expiresInMs ran out.' },
  too_old: { retryable: false, meaning: 'The job was due longer ago than QUEUE_MAX_JOB_AGE_HOURS when it started.' },
  cancelled: { retryable: false, meaning: 'A client cancelled the job.' },
  timed_out: { retryable: true, meaning: 'One attempt took longer than timeoutMs.' },
  not_configured: { retryable: false, meaning: 'The worker lacks the setting that the message names.' },
  unknown_job_type: { retryable: false, meaning: 'The worker does not know this job type; gateway and workers run different versions.' },
  invalid_data: { retryable: false, meaning: 'The stored data do not fit what the handler expects.' },
  removed: { retryable: false, meaning: 'An operator removed the job of this recipient before it had ended.' },
  worker_lost: { retryable: false, meaning: 'The workers that ran the job died or stalled as often as is allowed.' },
  schedule_refused: {
    retryable: false,
    meaning: 'When this run of a schedule was due, the payload of the schedule no longer fit its job type. Put the schedule anew.',
  },
  follow_up_refused: {
    retryable: false,
    meaning: 'The work is done, but a follow-up does not fit its schema with the result in it, so none was submitted.',
  },
  follow_up_delayed: {
    retryable: true,
    meaning: 'The work is done, but a follow-up could not be stored: its queue is full, or Redis did not confirm it. The job comes back.',
  },
  handler_error: { retryable: true, meaning: 'The handler failed in a way it did not foresee; the log has the cause.' },
  'smtp.recipient_refused': { retryable: false, meaning: 'The mail server refused the recipient for good (5xx).' },
  'smtp.message_refused': { retryable: false, meaning: 'The mail server refused the message for good (5xx).' },
  'smtp.mailbox_full': { retryable: true, meaning: 'The mailbox of the recipient is full.' },
  'smtp.deferred': { retryable: true, meaning: 'The mail server asked to try again later (4xx), as greylisting does.' },
  'smtp.authentication_failed': { retryable: false, meaning: 'The mail server refused the credentials in SMTP_URL.' },
  'smtp.tls_required': { retryable: false, meaning: 'TLS is required and the mail server does not offer it.' },
  'smtp.session_refused': { retryable: false, meaning: 'The mail server refused to talk to this worker (5xx before any message).' },
  'smtp.template_missing': {
    retryable: false,
    meaning: 'The worker lacks the template that the job names; gateway and workers read different template folders.',
  },
  'smtp.interrupted': { retryable: true, meaning: 'The attempt was stopped before the message was handed over.' },
  'smtp.unreachable': { retryable: true, meaning: 'The mail server could not be reached.' },
  'smtp.outcome_unknown': {
    retryable: true,
    meaning: 'The connection broke after the message was handed over; it may have been delivered.',
  },
  'upload.source_blocked': {
    retryable: false,
    meaning: 'The address of the recording may not be fetched: it is not public, or not permitted here.',
  },
  'upload.source_refused': {
    retryable: false,
    meaning: 'The source does not hand out the recording: a 4xx, which an expired address gives too, or redirects without end.',
  },
  'upload.source_unavailable': { retryable: true, meaning: 'The source of the recording did not answer, or answered 429 or 5xx.' },
  'upload.source_interrupted': { retryable: true, meaning: 'The source stopped before the recording was complete.' },
  'upload.too_large': { retryable: false, meaning: 'The recording is larger than UPLOAD_MAX_BYTES or than the store accepts.' },
  'upload.type_refused': { retryable: false, meaning: 'The media type of the recording is not in UPLOAD_CONTENT_TYPES.' },
  'upload.size_mismatch': {
    retryable: false,
    meaning: 'The recording is larger than sizeBytes says, or its source announces another size.',
  },
  'upload.hash_mismatch': { retryable: true, meaning: 'The bytes of the recording do not have the sha256 that the job names.' },
  'upload.object_conflict': { retryable: false, meaning: 'Another object has this name and overwrite is not set.' },
  'upload.store_denied': { retryable: false, meaning: 'The object store refused the credentials or the permission.' },
  'upload.bucket_not_found': { retryable: false, meaning: 'The bucket does not exist.' },
  'upload.store_refused': { retryable: false, meaning: 'The object store refused the request for good.' },
  'upload.store_unavailable': { retryable: true, meaning: 'The object store did not answer, or answered 5xx.' },
  'upload.store_throttled': { retryable: true, meaning: 'The object store asked to slow down.' },
  'upload.outcome_unknown': {
    retryable: true,
    meaning: 'The last request to the store got no answer; the next attempt looks whether the object is there.',
  },
  'upload.busy': { retryable: true, meaning: 'This worker runs as many uploads as UPLOAD_CONCURRENCY allows.' },
  'lark.rate_limited': { retryable: true, meaning: 'Lark asked to send less; the job waits as long as it said.' },
  'lark.table_busy': { retryable: true, meaning: 'Another job is writing to the same table; the job waits for its turn.' },
  'lark.write_conflict': { retryable: true, meaning: 'Lark refused a write because of another one to the same table at the same time.' },
  'lark.write_pending': { retryable: true, meaning: 'Lark is still busy with an earlier attempt of the same write; the job asks again.' },
  'lark.unavailable': { retryable: true, meaning: 'Lark could not be reached or failed.' },
  'lark.outcome_unknown': {
    retryable: true,
    meaning: 'The connection broke after the write was sent; repeating the job repeats it without doubling.',
  },
  'lark.authentication_failed': {
    retryable: false,
    meaning: 'Lark refused LARK_APP_ID and LARK_APP_SECRET or the token it issued for them.',
  },
  'lark.permission_denied': { retryable: false, meaning: 'The Lark app may not write to this Base or table.' },
  'lark.not_found': { retryable: false, meaning: 'Lark knows no such Base, table or record.' },
  'lark.field_unknown': { retryable: false, meaning: 'The table has no such column.' },
  'lark.field_invalid': { retryable: false, meaning: 'A value does not fit the type of its column.' },
  'lark.limit_exceeded': { retryable: false, meaning: 'The table or the request holds more records than Lark allows.' },
  'lark.invalid_request': { retryable: false, meaning: 'Lark refused the request as malformed.' },
  'lark.record_ambiguous': { retryable: false, meaning: 'Several records of the table carry this meeting id; none was changed.' },
  'tencent.rate_limited': {
    retryable: true,
    meaning: 'The limit of calls to Tencent Meeting is used up; the job waits for the next window.',
  },
  'tencent.quota_exhausted': { retryable: true, meaning: 'A limit of the Tencent Meeting account is used up for hours or for good.' },
  'tencent.unavailable': { retryable: true, meaning: 'Tencent Meeting could not be reached or failed.' },
  'tencent.signature_refused': {
    retryable: true,
    meaning: "Tencent Meeting refused time or nonce of a request twice; this machine's clock may be wrong.",
  },
  'tencent.outcome_unknown': {
    retryable: false,
    meaning: 'Nobody can tell whether the meeting was created; look it up before sending a new job.',
  },
  'tencent.meeting_not_found': { retryable: false, meaning: 'Tencent Meeting knows no such meeting, or it is over.' },
  'tencent.refused': { retryable: false, meaning: 'Tencent Meeting refused the request for good; the message has its code.' },
  'tencent.sts_token_missing': {
    retryable: false,
    meaning: 'Tencent Meeting has sent no valid STS token, which this call needs; it arrives by the event common.sts-token.',
  },
  'sms.rate_limited': { retryable: true, meaning: 'The SMS service asked to send less.' },
  'sms.number_limited': { retryable: true, meaning: 'This number has had as many messages as is allowed for now.' },
  'sms.unavailable': { retryable: true, meaning: 'The SMS service could not be reached or did not take the message; nothing was sent.' },
  'sms.outcome_unknown': {
    retryable: false,
    meaning: 'Nobody can tell whether the message was sent; the SMS service does not answer that question.',
  },
  'sms.refused': { retryable: false, meaning: 'The SMS service refused the message for a reason of its own; nothing was sent.' },
  'sms.number_refused': { retryable: false, meaning: 'The SMS service refused the phone number.' },
  'sms.template_refused': { retryable: false, meaning: 'The SMS service refused the template, its parameters or their content.' },
  'sms.signature_refused': { retryable: false, meaning: 'The SMS service does not know or has not approved the sign name.' },
  'sms.template_not_allowed': { retryable: false, meaning: 'The template is not listed in ALIYUN_SMS_TEMPLATES.' },
  'sms.quota_exhausted': { retryable: true, meaning: 'The daily or monthly limit of the SMS account is used up.' },
  'sms.account_refused': { retryable: false, meaning: 'The SMS account is out of money, suspended or unknown.' },
  'sms.authentication_failed': {
    retryable: false,
    meaning: 'The SMS service refused ALIYUN_SMS_ACCESS_KEY_ID, its secret, or what it may do.',
  },
  'analysis.crashed': { retryable: true, meaning: 'The thread that analysed the transcript died, most likely for want of memory.' },
  'llm.rate_limited': { retryable: true, meaning: 'The language model asked to send less.' },
  'llm.unavailable': {
    retryable: true,
    meaning: 'The language model could not be reached, failed, or took longer than ANALYSIS_LLM_TIMEOUT_MS.',
  },
  'llm.authentication_failed': { retryable: false, meaning: 'The language model refused ANALYSIS_LLM_API_KEY.' },
  'llm.refused': {
    retryable: false,
    meaning: 'The language model refused the request for good; ANALYSIS_LLM_BASE_URL or ANALYSIS_LLM_MODEL may be wrong.',
  },
  'llm.answer_invalid': {
    retryable: false,
    meaning: 'The language model answered twice with something that does not fit its instructions or the transcript.',
  },
  'llm.transcript_too_long': {
    retryable: false,
    meaning: 'The transcript has more sentences than ANALYSIS_MAX_SENTENCES, too many for the language model.',
  },
} as const satisfies Record<string, JobErrorKind>

export type JobErrorCode = keyof typeof jobErrors
