// process-meeting-record: facts put into order, and what Tencent Meeting adds to them.

import t from 'tap'
import { processMeetingRecord } from '../../../src/builtin/meeting/process-meeting-record.js'
import type { JobContext } from '../../../src/types/definition.js'
import { openTencentMeeting, type TencentMeetingSettings } from '../../../src/vendors/tencent-meeting/tencent-meeting.js'
import { schemaFaults } from '../../helpers/fits-schema.js'
import type { TestScope } from '../../helpers/start-redis.js'
import { answer } from '../../helpers/vendor-stubs/stub-server.js'
import { startTencentStub, tencentError } from '../../helpers/vendor-stubs/tencent-meeting.js'

const lines: string[] = []
const context = (integrations: JobContext['integrations'] = {}): JobContext => ({
  jobId: 'meet_00000000000000000001',
  createdAt: 0,
  attempt: 1,
  maxAttempts: 3,
  signal: new AbortController().signal,
  isExpired: false,
  log: (line) => void lines.push(line),
  progress: async () => {},
  marker: { read: async () => ({ state: 'none' }), begin: async () => {}, done: async () => {}, clear: async () => {} },
  integrations,
})

const at = (minutes: number): string => new Date(Date.UTC(2026, 0, 5, 9, minutes)).toISOString()
const minute = 60_000

const run = async (data: Parameters<typeof processMeetingRecord.run>[0], integrations?: JobContext['integrations']) => {
  const outcome = await processMeetingRecord.run(data, context(integrations))
  if (outcome.kind === 'done') t.same(schemaFaults(processMeetingRecord.result, outcome.result), [], 'the result fits its schema')
  return outcome
}

t.test('the example', async (t) => {
  t.same(schemaFaults(processMeetingRecord.data, processMeetingRecord.example), [])
  t.not(schemaFaults(processMeetingRecord.data, { meetingId: 'm', meetingData: { unknown: 1 } }).length, 0)
  t.not(schemaFaults(processMeetingRecord.data, { meetingId: 'm', meetingData: { custom: { a: {} } } }).length, 0, 'scalars only')
  t.same(await run(processMeetingRecord.example), {
    kind: 'done',
    result: {
      status: 'processed',
      title: 'Weekly review',
      startTime: at(0),
      endTime: at(60),
      durationMs: 60 * minute,
      participants: [
        { id: 'u1', name: 'Ada', attendedMs: 60 * minute, joins: 1 },
        { id: 'u2', name: 'Lin', attendedMs: 30 * minute, joins: 1 },
      ],
      peakParticipants: 2,
      source: 'payload',
    },
  })
})

t.test('attendance', async (t) => {
  const people = async (participants: object[], more: object = {}) => {
    const outcome = await run({ meetingId: 'm', meetingData: { participants, ...more } as never })
    if (outcome.kind !== 'done') throw new Error(outcome.kind)
    return { peak: outcome.result.peakParticipants, each: outcome.result.participants.map(({ attendedMs, joins }) => [attendedMs, joins]) }
  }
  const stay = (from: number, to?: number) => ({ joinedAt: at(from), ...(to === undefined ? {} : { leftAt: at(to) }) })
  const person = (id: string | undefined, ...attendance: object[]) => ({ ...(id ? { id } : {}), name: 'Ada', attendance })

  t.same(
    await people([person('a', stay(0, 10), stay(5, 20), stay(30, 40))]),
    { peak: 1, each: [[30 * minute, 3]] },
    'overlapping stays count once',
  )
  t.same(
    await people([person('a', stay(0, 10)), person('a', stay(10, 20))]),
    { peak: 1, each: [[20 * minute, 2]] },
    'the same id is one person',
  )
  t.same(
    await people([person(undefined, stay(0, 10)), person(undefined, stay(5, 20))]),
    {
      peak: 2,
      each: [
        [10 * minute, 1],
        [15 * minute, 1],
      ],
    },
    'the same name is not',
  )
  t.same(
    await people([person('a', stay(0, 10)), person('b', stay(10, 20))]),
    {
      peak: 1,
      each: [
        [10 * minute, 1],
        [10 * minute, 1],
      ],
    },
    'leaving as another joins',
  )
  t.same(await people([person('a', stay(0))]), { peak: 0, each: [[null, 1]] }, 'a stay without end')
  t.same(await people([person('a', stay(0)), person('b', stay(5, 10))]), {
    peak: 2,
    each: [
      [null, 1],
      [5 * minute, 1],
    ],
  })
  t.same(await people([person('a', stay(0))], { endTime: at(30) }), { peak: 1, each: [[30 * minute, 1]] }, 'ends with the meeting')
  t.same(await people([person('a', stay(10))], { startTime: at(0), durationMs: 30 * minute }), { peak: 1, each: [[20 * minute, 1]] })
  t.same(await people([{ id: 'a', name: 'Ada' }]), { peak: null, each: [[null, 0]] }, 'nothing recorded')
})

t.test('nothing is made up', async (t) => {
  const nothing = {
    kind: 'done',
    result: {
      status: 'insufficient-data',
      title: null,
      startTime: null,
      endTime: null,
      durationMs: null,
      participants: [],
      peakParticipants: null,
      source: 'payload',
    },
  }
  t.same(await run({ meetingId: 'm' }), nothing)
  t.same(await run({ meetingId: 'm', meetingData: { agenda: 'x' } }), nothing)
  t.match(await run({ meetingId: 'm', meetingData: { startTime: '2026-01-05T10:00:00+01:00' } }), {
    result: { status: 'processed', startTime: at(0), durationMs: null },
  })
})

t.test('times that contradict each other are refused at submission', async (t) => {
  const check = (meetingData: object) => processMeetingRecord.check?.({ meetingId: 'm', meetingData } as never, {} as never)
  t.same(check({ startTime: at(5), endTime: at(0) }), [{ pointer: '#/data/meetingData/endTime', detail: 'must not be before startTime' }])
  t.same(check({ participants: [{ name: 'Ada' }, { name: 'Lin', attendance: [{ joinedAt: at(5), leftAt: at(0) }] }] }), [
    { pointer: '#/data/meetingData/participants/1/attendance/0/leftAt', detail: 'must not be before joinedAt' },
  ])
  t.same(check(processMeetingRecord.example.meetingData as object), [])
  t.same(processMeetingRecord.check?.({ meetingId: 'm' }, {} as never), [])
})

t.test('from Tencent Meeting', async (t) => {
  const start = async (t: TestScope, more: Partial<TencentMeetingSettings> = {}) => {
    const stub = await startTencentStub(t)
    const settings = {
      baseUrl: stub.url,
      secretId: stub.secretId,
      secretKey: stub.secretKey,
      appId: stub.appId,
      userId: 'boss',
      instanceId: 1,
      timeoutMs: 5000,
    }
    const tencentMeeting = openTencentMeeting({
      settings: { ...settings, ...more },
      quota: { take: async () => 0 },
      stsTokens: { read: async () => null },
    })
    t.after(() => tencentMeeting.close())
    const seconds = (minutes: number) => String(Date.parse(at(minutes)) / 1000)
    stub.meetings.set('77', { meeting_id: '77', subject: 'Review', start_time: seconds(0), end_time: seconds(60) })
    return { ...stub, integrations: { tencentMeeting }, seconds }
  }

  t.test('what meetingData lacks', async (t) => {
    const { integrations, requests, script, seconds } = await start(t)
    const page = (participants: object[], more: object = {}) => answer({ participants, has_remaining: false, ...more })
    const fetched = answer({ meeting_info_list: [{ meeting_id: '77', subject: 'Review', start_time: seconds(0), end_time: seconds(60) }] })
    script.push(
      fetched,
      page([{ userid: 'u1', user_name: Buffer.from('张伟').toString('base64'), join_time: seconds(0), left_time: seconds(10) }], {
        has_remaining: true,
        next_pos: 1,
      }),
      page([
        { userid: 'u1', user_name: Buffer.from('张伟').toString('base64'), join_time: seconds(20), left_time: seconds(30) },
        { userid: 'u2', user_name: 'Lin', join_time: seconds(5), left_time: '' },
      ]),
    )
    t.same(await run({ meetingId: 'm', meetingData: { title: 'Our own title' }, tencentMeetingId: '77' }, integrations), {
      kind: 'done',
      result: {
        status: 'processed',
        title: 'Our own title',
        startTime: at(0),
        endTime: at(60),
        durationMs: 60 * minute,
        participants: [
          { id: 'u1', name: '张伟', attendedMs: 20 * minute, joins: 2 },
          { id: 'u2', name: 'Lin', attendedMs: 55 * minute, joins: 1 },
        ],
        peakParticipants: 2,
        source: 'tencent-meeting',
      },
    })
    t.same(
      requests.map(({ query }) => [query.get('userid'), query.get('pos')]),
      [
        ['boss', null],
        ['boss', '0'],
        ['boss', '1'],
      ],
    )
  })

  t.test('nothing is asked when nothing is missing', async (t) => {
    const { integrations, requests } = await start(t)
    t.match(await run({ ...processMeetingRecord.example, tencentMeetingId: '77' }, integrations), { result: { source: 'payload' } })
    t.equal(requests.length, 0)
    await run({ meetingId: 'm', meetingData: { participants: [] }, tencentMeetingId: '77', tencentUserId: 'lin' }, integrations)
    t.same(
      requests.map(({ query }) => query.get('userid')),
      ['lin'],
      'participants are not asked for when sent',
    )
  })

  t.test('failures', async (t) => {
    const { integrations, script } = await start(t)
    const data = { meetingId: 'm', tencentMeetingId: '78' }
    t.match(await run(data, integrations), { kind: 'fail', code: 'tencent.meeting_not_found' })
    script.push(answer(tencentError(190310).body, 500))
    t.match(await run(data, integrations), { kind: 'defer', code: 'tencent.rate_limited' })
    script.push({ kind: 'drop' })
    t.match(await run(data, integrations), { kind: 'retry', code: 'tencent.unavailable' })
    t.match(await run(data), { kind: 'fail', code: 'not_configured', message: /TENCENT_MEETING_SECRET_ID/ })
    const { integrations: nobody } = await start(t, { userId: undefined })
    t.match(await run(data, nobody), { kind: 'fail', code: 'not_configured', message: /TENCENT_MEETING_USER_ID/ })
  })
})
