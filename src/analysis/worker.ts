// The thread in which transcripts are analysed: one request in, one answer out, until it is ended.

import { parentPort, workerData } from 'node:worker_threads'
import { type AnalysisRequest, extract } from './extract.js'
import { hasChinese, loadJieba } from './words.js'

const { sentencesMax } = workerData as { sentencesMax: number }

let jieba: ReturnType<typeof loadJieba> | undefined

const needsChinese = ({ text, segments }: AnalysisRequest['transcript']): boolean =>
  hasChinese(text ?? '') || (segments ?? []).some((segment) => hasChinese(segment.text))

parentPort?.on('message', async (request: AnalysisRequest) => {
  // The dictionary takes time and memory: English transcripts do without.
  if (needsChinese(request.transcript)) jieba ??= loadJieba()
  const cutChinese = (await jieba) ?? null
  parentPort?.postMessage(extract(request, { cutChinese, sentencesMax }))
})
