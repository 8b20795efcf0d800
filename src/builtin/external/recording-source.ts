// Opens the address of a recording; one of Tencent Meeting that has expired is requested again.

import type { OutboundRequest } from '../../outbound/client.js'
import type { OutboundOutcome } from '../../outbound/outcome.js'
import { toText } from '../../vendors/json.js'
import type { ObjectStorage } from '../../vendors/object-storage/object-storage.js'
import type { TencentFailure } from '../../vendors/tencent-meeting/job-errors.js'
import type { TencentAnswer } from '../../vendors/tencent-meeting/wire.js'
import { type Integrations, integrationVariables } from '../integrations.js'

export interface RecordingSource {
  readonly fileUrl: string
  readonly fileName: string
  readonly contentType?: string | undefined
  /** Its id at Tencent Meeting. Without it, an expired address stays expired. */
  readonly recordFileId?: string | undefined
  /** Defaults to the configured user. */
  readonly tencentUserId?: string | undefined
}

export type SourceOutcome =
  /** Of the address as given, or, with `isFresh`, of the one that took its place. */
  | { readonly kind: 'answered'; readonly answer: OutboundOutcome; readonly isFresh: boolean }
  /** The address has expired, and this worker cannot ask for another. */
  | { readonly kind: 'not-configured'; readonly variable: string }
  /** The address has expired, and Tencent Meeting names no other. */
  | { readonly kind: 'no-address' }
  /** The address has expired, and Tencent Meeting could not be asked for another. */
  | { readonly kind: 'not-asked'; readonly failure: TencentFailure }

/** What signed addresses answer once their time is up; those of Tencent Meeting live 5 minutes to 6 hours. */
const expiredStatus = 403

/** Asks for a fresh address at most once a call. Throws the reason of the signal. */
export const openRecordingSource = async (
  recording: RecordingSource,
  { objectStorage, tencentMeeting }: Pick<Integrations, 'tencentMeeting'> & { readonly objectStorage: ObjectStorage },
  request: OutboundRequest,
): Promise<SourceOutcome> => {
  const open = async (url: string): Promise<OutboundOutcome> => {
    const answer = await objectStorage.source.fetch(url, request)
    if (request.signal.aborted && answer.kind === 'response') answer.discard()
    request.signal.throwIfAborted()
    return answer
  }
  const { recordFileId, fileUrl } = recording
  const answer = await open(fileUrl)
  const isExpired = answer.kind === 'response' && answer.status === expiredStatus
  if (!isExpired || recordFileId === undefined) return { kind: 'answered', answer, isFresh: false }
  answer.discard()
  if (!tencentMeeting) return { kind: 'not-configured', variable: integrationVariables.tencentMeeting }
  const userId = recording.tencentUserId ?? tencentMeeting.userId
  if (!userId) return { kind: 'not-configured', variable: 'TENCENT_MEETING_USER_ID' }
  const found = await tencentMeeting.recordingAddresses(recordFileId, userId, request.signal)
  request.signal.throwIfAborted()
  if (found.kind !== 'done') return { kind: 'not-asked', failure: found }
  const fresh = toAddress(found.value, recording)
  return fresh === undefined ? { kind: 'no-address' } : { kind: 'answered', answer: await open(fresh), isFresh: true }
}

/** The vendor names one address with the picture and one without: the one that is like the expired one. */
const toAddress = (answer: TencentAnswer, { contentType, fileName, fileUrl }: RecordingSource): string | undefined => {
  const audio = toText(answer['audio_address'])
  const ending = `.${toText(answer['audio_address_file_type']) ?? 'm4a'}`.toLowerCase()
  const isAudio =
    contentType?.toLowerCase().startsWith('audio/') ??
    [new URL(fileUrl).pathname, fileName].some((name) => name.toLowerCase().endsWith(ending))
  return isAudio ? audio : toText(answer['download_address'])
}
