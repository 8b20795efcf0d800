// analyze-meeting-content: which engine answers, what is done when one does not, and that what was written once is kept.

import t from 'tap'
import type { Transcript } from '../../../src/analysis/meeting.js'
import { openTranscriptAnalysis } from '../../../src/analysis/transcript-analysis.js'
import { analyzeMeetingContent } from '../../../src/builtin/meeting/analyze-meeting-content.js'
import type { AttemptMarker, JobContext } from '../../../src/types/definition.js'
import { openLlm } from '../../../src/vendors/llm/llm.js'
import { openTencentMeeting } from '../../../src/vendors/tencent-meeting/tencent-meeting.js'
import { schemaFaults } from '../../helpers/fits-schema.js'
import type { TestScope } from '../../helpers/start-redis.js'
import { answer, startStubServer } from '../../helpers/vendor-stubs/stub-server.js'
import { startTencentStub, tencentError } from '../../helpers/vendor-stubs/tencent-meeting.js'

type Data = Parameters<typeof analyzeMeetingContent.run>[0]

const analyzer = openTranscriptAnalysis({ threads: 1, maxSentences: 2000 })

const createMarker = (): AttemptMarker & { result?: unknown } => {
  const marker: AttemptMarker & { result?: unknown } = {
    read: async () => (marker.result === undefined ? { state: 'none' } : { state: 'done', result: marker.result }),
    begin: async () => {},
    done: async (result) => {
      marker.result = result
    },
    clear: async () => {},
  }
  return marker
}

const run = async (data: Data, { integrations = {}, ...more }: Partial<JobContext> = {}) => {
  const outcome = await analyzeMeetingContent.run(data, {
    jobId: 'meet_00000000000000000001',
    createdAt: 0,
    attempt: 1,
    maxAttempts: 2,
    signal: new AbortController().signal,
    isExpired: false,
    log: () => {},
    progress: async () => {},
    marker: createMarker(),
    ...more,
    integrations: { analyzer, ...integrations },
  })
  if (outcome.kind === 'done') t.same(schemaFaults(analyzeMeetingContent.result, outcome.result), [], 'the result fits its schema')
  return outcome
}

const transcript = analyzeMeetingContent.example.transcript as Transcript

t.test('extractive', async (t) => {
  const full = await run(analyzeMeetingContent.example)
  t.match(full, {
    kind: 'done',
    result: {
      status: 'analyzed',
      engine: 'extractive-v1',
      language: 'en',
      summary: [
        { index: 0, startMs: 0, endMs: 4000, speakerId: 'u1' },
        { index: 1, startMs: 4000, endMs: 7000, speakerId: 'u2' },
      ],
      sentiment: { label: 'negative', confidence: 'low' },
      talkTime: { speechMs: 7000, overlapMs: 0 },
      actionItems: [{ index: 1, rule: 'en-deadline', heuristic: true }],
      transcriptSha256: /^[0-9a-f]{64}$/,
      warnings: [],
    },
  })
  t.equal(JSON.stringify(await run(analyzeMeetingContent.example)), JSON.stringify(full), 'the same bytes')
  const talkTime = await run({ meetingId: 'm', transcript, analysisType: 'talk-time' })
  t.same(talkTime.kind === 'done' && Object.keys(talkTime.result).sort(), [
    'engine',
    'language',
    'status',
    'talkTime',
    'transcriptSha256',
    'warnings',
  ])
  const bounded = await run({ meetingId: 'm', transcript, maxSentences: 1, maxKeywords: 2 })
  t.match(bounded.kind === 'done' && [bounded.result.summary?.length, bounded.result.keywords?.length], [1, 2])
})

t.test('nothing is made up', async (t) => {
  t.same(await run({ meetingId: 'm' }), {
    kind: 'done',
    result: { status: 'insufficient-data', engine: null, language: null, transcriptSha256: null, warnings: [] },
  })
  const insufficient = {
    kind: 'done',
    result: { status: 'insufficient-data', engine: null, language: null, transcriptSha256: /^[0-9a-f]{64}$/ },
  }
  t.match(await run({ meetingId: 'm', transcript: { text: '... 123 嗯' } }), insufficient, 'no word')
  t.match(await run({ meetingId: 'm', transcript: { text: 'Hello gateway.' }, analysisType: 'talk-time' }), insufficient, 'no times')
  t.match(await run({ meetingId: 'm', transcript: { text: 'The cat sat.' }, analysisType: 'sentiment' }), insufficient, 'no feeling')
})

t.test('what the schema refuses', async (t) => {
  const faults = (data: object) => schemaFaults(analyzeMeetingContent.data, { meetingId: 'm', ...data }).length
  t.equal(faults(analyzeMeetingContent.example), 0)
  t.equal(faults({ transcript: { text: 'x' } }), 0)
  const segments = [{ speakerId: 'a', startMs: 0, endMs: 1, text: 'x' }]
  t.not(faults({ transcript: { text: 'x', segments } }), 0, 'both')
  t.not(faults({ transcript: {} }), 0, 'neither')
  t.not(faults({ transcript: { segments: [] } }), 0)
  t.not(faults({ transcript: { segments: Array.from({ length: 5001 }, () => segments[0]) } }), 0)
  t.not(faults({ maxSentences: 21 }), 0)
})

t.test('what a schema cannot say is refused at submission', async (t) => {
  const check = (data: object) => analyzeMeetingContent.check?.({ meetingId: 'm', ...data }, {} as never)
  t.same(check({ transcript: { segments: [{ speakerId: 'a', startMs: 5, endMs: 4, text: 'x' }] } }), [
    { pointer: '#/data/transcript/segments/0/endMs', detail: 'must not be less than startMs' },
  ])
  t.same(check({ engine: 'vendor' }), [{ pointer: '#/data/recordFileId', detail: 'is required if engine is vendor' }])
  t.same(check(analyzeMeetingContent.example), [])
})

const written = {
  summary: [{ index: 0, text: 'The release is late.' }],
  keywords: [{ term: 'gateway', score: 1 }],
  sentiment: { label: 'negative', score: -0.5 },
  actionItems: [{ index: 1, text: 'Fix the load test.' }],
}
const startLlm = async (t: TestScope) => {
  const stub = await startStubServer(t, { work: () => ({ body: { choices: [{ message: { content: JSON.stringify(written) } }] } }) })
  const llm = openLlm({ baseUrl: stub.url, model: 'small', timeoutMs: 5000, maxTokens: 500, maxSentences: 2000 })
  t.after(() => llm.close())
  return { ...stub, llm }
}

t.test('with a language model', async (t) => {
  t.test('it answers, and its first answer is kept', async (t) => {
    const { llm, requests } = await startLlm(t)
    const marker = createMarker()
    const outcome = await run({ meetingId: 'm', transcript }, { integrations: { llm }, marker })
    t.match(outcome, {
      kind: 'done',
      result: {
        status: 'analyzed',
        engine: 'llm',
        summary: [{ index: 0, text: 'The release is late.', startMs: 0, endMs: 4000, speakerId: 'u1' }],
        keywords: written.keywords,
        sentiment: { ...written.sentiment, hits: null, confidence: 'low' },
        actionItems: [{ index: 1, text: 'Fix the load test.', rule: 'llm', heuristic: true }],
        talkTime: { speechMs: 7000 },
      },
    })
    t.same(await run({ meetingId: 'm', transcript }, { integrations: { llm }, marker, attempt: 2 }), outcome)
    t.equal(requests.length, 1, 'a later attempt does not ask again')
  })

  t.test('it is left alone when it is not wanted', async (t) => {
    const { llm, requests } = await startLlm(t)
    const marker = createMarker()
    t.match(await run({ meetingId: 'm', transcript, engine: 'extractive' }, { integrations: { llm }, marker }), {
      result: { engine: 'extractive-v1' },
    })
    t.equal(marker.result, undefined, 'what can be computed again is not stored')
    t.match(await run({ meetingId: 'm', transcript, analysisType: 'talk-time', engine: 'llm' }, { integrations: { llm } }), {
      result: { engine: 'extractive-v1' },
    })
    t.match(await run({ meetingId: 'm', transcript: { text: '...' } }, { integrations: { llm } }), {
      result: { status: 'insufficient-data' },
    })
    t.equal(requests.length, 0)
  })

  t.test('auto takes the next engine once it will not be asked again', async (t) => {
    const { llm, script } = await startLlm(t)
    const fail = (status: number, more: Partial<JobContext> = {}, data: Partial<Data> = {}) => {
      script.push(answer({}, status))
      return run({ meetingId: 'm', transcript, ...data }, { integrations: { llm }, ...more })
    }
    t.match(await fail(503), { kind: 'retry', code: 'llm.unavailable' })
    t.match(await fail(429), { kind: 'defer', code: 'llm.rate_limited' })
    const instead = { kind: 'done', result: { engine: 'extractive-v1', warnings: [/language model was not used/] } }
    t.match(await fail(503, { attempt: 2 }), instead)
    t.match(await fail(429, { attempt: 2 }), instead)
    t.match(await fail(401), instead, 'for good')
    t.match(
      await fail(503, { attempt: 2 }, { engine: 'llm' }),
      { kind: 'retry', code: 'llm.unavailable' },
      'not when it was asked for by name',
    )
    t.match(await fail(401, {}, { engine: 'llm' }), { kind: 'fail', code: 'llm.authentication_failed' })
  })

  t.test('not configured', async (t) => {
    t.match(await run({ meetingId: 'm', transcript, engine: 'llm' }), {
      kind: 'fail',
      code: 'not_configured',
      message: /ANALYSIS_LLM_BASE_URL/,
    })
  })

  t.test('an abort is not mistaken for a failure of the model', async (t) => {
    const controller = new AbortController()
    const stub = await startStubServer(t, {
      work: () => {
        controller.abort(new Error('cancelled'))
        return new Promise(() => {})
      },
    })
    const llm = openLlm({ baseUrl: stub.url, model: 'small', timeoutMs: 60_000, maxTokens: 500, maxSentences: 2000 })
    t.after(() => llm.close())
    await t.rejects(run({ meetingId: 'm', transcript, engine: 'llm' }, { integrations: { llm }, attempt: 2, signal: controller.signal }), {
      message: 'cancelled',
    })
  })
})

t.test('with a recording at Tencent Meeting', async (t) => {
  const start = async (t: TestScope) => {
    const { url, secretId, secretKey, appId, script, requests } = await startTencentStub(t)
    const tencentMeeting = openTencentMeeting({
      settings: { baseUrl: url, secretId, secretKey, appId, userId: 'boss', instanceId: 1, timeoutMs: 5000 },
      quota: { take: async () => 0 },
      stsTokens: { read: async () => null },
    })
    t.after(() => tencentMeeting.close())
    return { tencentMeeting, script, requests }
  }
  const words = (...texts: string[]) => texts.map((text, wid) => ({ wid, text }))
  const details = answer({
    more: false,
    minutes: {
      paragraphs: [
        {
          pid: '0',
          speaker_info: { userid: 'u1', username: '张伟' },
          sentences: [
            { sid: '0', start_time: 0, end_time: 2000, words: words('集群', '的', '迁移', '延期了', '。') },
            { sid: '1', start_time: 2000, end_time: 3000, words: words('The', 'release', 'failed', '.') },
          ],
        },
      ],
    },
  })
  const summary = answer({ ai_summary: Buffer.from('集群迁移延期。发布失败。').toString('base64') })
  const minutes = answer({ meeting_minute: { minute: '…', todo: '## 会议待办\\n\\n- 张伟修复测试\\n- 李娜更新文档\\n' } })
  const data: Data = { meetingId: 'm', recordFileId: '42' }

  t.test("the vendor's notes, the rest from the transcript", async (t) => {
    const { tencentMeeting, script, requests } = await start(t)
    const { llm, requests: asked } = await startLlm(t)
    const marker = createMarker()
    script.push(summary, minutes, details)
    const outcome = await run(data, { integrations: { tencentMeeting, llm }, marker })
    t.match(outcome, {
      kind: 'done',
      result: {
        status: 'analyzed',
        engine: 'tencent-ai',
        language: 'zh',
        summary: [
          { index: 0, text: '集群迁移延期。' },
          { index: 1, text: '发布失败。' },
        ],
        actionItems: [
          { index: 0, text: '张伟修复测试', rule: 'tencent-ai', heuristic: true },
          { index: 1, text: '李娜更新文档', rule: 'tencent-ai', heuristic: true },
        ],
        talkTime: { speakers: [{ speakerId: 'u1', ms: 3000, share: 1 }] },
        transcriptSha256: /^[0-9a-f]{64}$/,
      },
    })
    t.same(
      requests.map(({ path }) => path),
      ['/v1/smart/fullsummary', '/v1/smart/minutes/42', '/v1/records/transcripts/details'],
    )
    t.equal(asked.length, 0, 'one engine is enough')
    t.same(await run(data, { integrations: { tencentMeeting, llm }, marker }), outcome)
    t.equal(requests.length, 3, 'kept')
  })

  t.test('its transcript alone', async (t) => {
    const { tencentMeeting, script } = await start(t)
    script.push(details)
    t.match(await run({ ...data, engine: 'extractive' }, { integrations: { tencentMeeting } }), {
      result: {
        engine: 'extractive-v1',
        summary: [
          { text: '集群的迁移延期了。', startMs: 0, endMs: 2000, speakerId: 'u1' },
          { text: 'The release failed.', startMs: 2000, endMs: 3000, speakerId: 'u1' },
        ],
      },
    })
    t.match(
      await run({ ...data, engine: 'extractive' }, { integrations: { tencentMeeting } }),
      { result: { status: 'insufficient-data' } },
      'without words',
    )
  })

  t.test('notes without transcript', async (t) => {
    const { tencentMeeting, script } = await start(t)
    script.push(summary, minutes, answer(tencentError(500125).body, 500))
    const outcome = await run(data, { integrations: { tencentMeeting } })
    t.match(outcome, { result: { engine: 'tencent-ai', transcriptSha256: null, warnings: [/cannot be read/, /omitted/] } })
    t.notOk(outcome.kind === 'done' && outcome.result.talkTime)
  })

  t.test('auto takes the next engine', async (t) => {
    const { tencentMeeting, script } = await start(t)
    const { llm } = await startLlm(t)
    const down = answer(tencentError(9061).body, 500)
    script.push(down)
    t.match(await run(data, { integrations: { tencentMeeting, llm } }), { kind: 'retry', code: 'tencent.unavailable' })
    script.push(down, details)
    t.match(await run(data, { integrations: { tencentMeeting, llm }, attempt: 2 }), {
      result: { engine: 'llm', warnings: [/Tencent Meeting AI was not used/] },
    })
    script.push(answer({}), answer({}), details)
    t.match(await run(data, { integrations: { tencentMeeting } }), { result: { engine: 'extractive-v1', warnings: [/has no notes/] } })
    script.push(down)
    t.match(await run({ ...data, engine: 'vendor' }, { integrations: { tencentMeeting }, attempt: 2 }), {
      kind: 'retry',
      code: 'tencent.unavailable',
    })
  })

  t.test('failures of the transcript', async (t) => {
    const { tencentMeeting, script } = await start(t)
    script.push(answer(tencentError(9042).body, 500))
    t.match(await run({ ...data, engine: 'extractive' }, { integrations: { tencentMeeting } }), {
      kind: 'fail',
      code: 'tencent.sts_token_missing',
    })
    script.push({ kind: 'drop' })
    t.match(await run({ ...data, engine: 'extractive' }, { integrations: { tencentMeeting } }), {
      kind: 'retry',
      code: 'tencent.unavailable',
    })
  })

  t.test('not configured', async (t) => {
    t.match(await run(data), { kind: 'fail', code: 'not_configured', message: /TENCENT_MEETING_SECRET_ID/ })
    t.match(await run({ ...data, transcript }), { result: { engine: 'extractive-v1' } }, 'a transcript of its own is enough')
    t.match(await run({ ...data, transcript, engine: 'vendor' }), { kind: 'fail', code: 'not_configured' })
  })
})

// The root of a file ends with its process, and an open thread keeps that going.
t.test('threads end', () => analyzer.close())
