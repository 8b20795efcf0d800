// What runs in an analysis thread: one transcript in, what was found out.

import { workerData } from 'node:worker_threads'
import { type AnalysisRequest, type Extraction, extract } from './extract.js'
import { hasChinese, loadJieba } from './words.js'

const { sentencesMax } = workerData as { sentencesMax: number }

let jieba: ReturnType<typeof loadJieba> | undefined

const needsChinese = ({ text, segments }: AnalysisRequest['transcript']): boolean =>
  hasChinese(text ?? '') || (segments ?? []).some((segment) => hasChinese(segment.text))

export default async (request: AnalysisRequest): Promise<Extraction> => {
  // The dictionary takes time and memory: English transcripts do without.
  if (needsChinese(request.transcript)) jieba ??= loadJieba()
  const cutChinese = (await jieba) ?? null
  return extract(request, { cutChinese, sentencesMax })
}
