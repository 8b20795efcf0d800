// What is found in transcripts, against small cases worked out by hand, and how the threads behave.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { type AnalysisPart, type AnalysisRequest, analysisParts, extract } from '../../src/analysis/extract.js'
import type { Transcript, TranscriptSegment } from '../../src/analysis/meeting.js'
import { toSentences } from '../../src/analysis/sentences.js'
import { toSummary } from '../../src/analysis/text-rank.js'
import { openTranscriptAnalysis } from '../../src/analysis/transcript-analysis.js'
import { loadJieba } from '../../src/analysis/words.js'
import { childEnvironment } from '../helpers/child-environment.js'
import { eventually } from '../helpers/eventually.js'

const never = new AbortController().signal

const cutChinese = await loadJieba()

const ask = (
  transcript: Transcript,
  parts: readonly AnalysisPart[] = analysisParts,
  more: Partial<AnalysisRequest> = {},
): AnalysisRequest => ({
  transcript,
  parts,
  language: 'auto',
  maxSentences: 5,
  maxKeywords: 10,
  ...more,
})
const find = (text: string, parts?: readonly AnalysisPart[], more?: Partial<AnalysisRequest>) =>
  extract(ask({ text }, parts, more), { cutChinese, sentencesMax: 2000 })

/** Sentences of six words out of a few, so that they overlap; the same every time. */
const someText = (sentences: number): string[] => {
  const words = ['集群', '迁移', '方案', '测试', '报告', '延迟', 'gateway', 'latency', 'release', 'retry', 'queue', 'cache']
  let seed = 7
  const next = (): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed >> 16
  }
  return Array.from(
    { length: sentences },
    (_, at) => `${Array.from({ length: 6 }, () => words[next() % words.length]).join(' 和 ')} n${at}。`,
  )
}

t.test('keywords', async (t) => {
  t.same(
    find('Cats chase mice. Cats sleep. Dogs bark.', ['keywords']).keywords,
    [
      // 2/7 × (ln(4/3) + 1)
      { term: 'Cats', score: 0.3679 },
      // 1/7 × (ln(4/2) + 1), in the order of first use
      ...['chase', 'mice', 'sleep', 'Dogs', 'bark'].map((term) => ({ term, score: 0.2419 })),
    ],
    'English',
  )
  t.same(
    find('集群迁移。集群升级。', ['keywords']).keywords,
    [
      // 2/4 × (ln(3/3) + 1)
      { term: '集群', score: 0.5 },
      // 1/4 × (ln(3/2) + 1)
      { term: '迁移', score: 0.3514 },
      { term: '升级', score: 0.3514 },
    ],
    'Chinese',
  )
  const terms = (text: string, more?: Partial<AnalysisRequest>) => find(text, ['keywords'], more).keywords?.map(({ term }) => term)
  t.same(
    terms('我们把 Redis 集群升级到 7.2，the API gateway too.'),
    ['Redis', '集群', '升级', 'API', 'gateway'],
    'mixed; numerals and fillers dropped',
  )
  t.same(terms('Redis 集群', { language: 'en' }), ['Redis'], 'with en Chinese words are not read')
  t.same(terms('api API api'), ['api'], 'the usual form is shown')
  t.equal(terms('alpha beta gamma', { maxKeywords: 2 })?.length, 2)
})

t.test('sentences', async (t) => {
  const texts = (text: string) => toSentences({ text }).map((sentence) => sentence.text)
  t.same(texts('Dr. Smith agreed, e.g. yesterday. 今天讨论上线计划。张伟说：“没问题！”好的\nnext line'), [
    'Dr. Smith agreed, e.g. yesterday.',
    '今天讨论上线计划。',
    '张伟说：“没问题！”',
    '好的',
    'next line',
  ])
  t.ok(
    texts('没有标点的一段话'.repeat(500)).every((text) => text.length <= 400),
    'pages without a full stop are cut',
  )
  t.equal(texts('We met. '.repeat(20_000)).length, 20_000, 'a long text is read in pieces')
  t.same(
    toSentences({ segments: [{ speakerId: 'a', startMs: 5, endMs: 9, text: 'One. Two.' }] }),
    [
      { index: 0, text: 'One.', startMs: 5, endMs: 9, speakerId: 'a' },
      { index: 1, text: 'Two.', startMs: 5, endMs: 9, speakerId: 'a' },
    ],
    'with times and speaker',
  )
})

t.test('summary', async (t) => {
  const candidates = (...texts: string[]) =>
    texts.map((text, index) => ({ index, text, keys: new Set(text.split(' ').filter((key) => key !== '')) }))
  const chain = candidates('alpha beta', 'beta gamma', 'gamma delta')
  t.same(toSummary(chain, 1, 2000), [1], 'the one that both others share a word with')
  t.same(toSummary(chain, 2, 2000), [0, 1], 'equal ranks go to the earlier one')
  t.same(toSummary(candidates('alpha beta', '', 'alpha beta'), 5, 2000), [0], 'nothing empty, nothing twice')
  const two = candidates('alpha beta', 'beta gamma', 'gamma delta', 'one two', 'two three', 'three four')
  t.same(toSummary(two, 1, 3), [1], 'part by part, the winners against each other')
  t.same(
    extract(ask({ segments: [{ speakerId: 'a', startMs: 0, endMs: 10, text: '集群迁移延期。' }] }, ['summary']), {
      cutChinese,
      sentencesMax: 100,
    }).summary,
    [{ index: 0, text: '集群迁移延期。', startMs: 0, endMs: 10, speakerId: 'a' }],
    'one sentence',
  )
})

t.test('sentiment', async (t) => {
  const mood = (text: string, more?: Partial<AnalysisRequest>) => {
    const { label, score, hits, confidence } = find(text, ['sentiment'], more).sentiment ?? {}
    t.equal(confidence, 'low')
    return [label, score, hits]
  }
  t.same(mood('This is good.'), ['positive', 0.6, 1], '3 / 5')
  t.same(mood('This is very good.'), ['positive', 0.9, 1], '3 × 1.5 / 5')
  t.same(mood('This is not brilliant.'), ['negative', -0.6, 1], '4 × -0.75 / 5')
  t.same(mood('It is not here, good.'), ['positive', 0.6, 1], 'a comma ends the reach of a negation')
  t.same(mood('It does not work.'), ['negative', -0.6, 1], 'an expression of several words')
  t.same(mood('大家很满意。'), ['positive', 0.9, 1])
  t.same(mood('我们不满意。'), ['negative', -0.45, 1])
  t.same(mood('This is good. 我非常失望。'), ['negative', -0.15, 2], '(3 - 4.5) / 2 / 5')
  t.same(mood('This is good. 我失望。'), ['neutral', 0, 2])
  t.same(mood('This is good. 我失望。', { language: 'zh' }), ['negative', -0.6, 1], 'rules of one language')
  const nothing = find('The cat sat.', ['sentiment'])
  t.same(nothing.sentiment, { label: 'neutral', score: 0, hits: 0, confidence: 'low' })
  t.match(nothing.warnings, [/score is meaningless/])
})

t.test('talk time', async (t) => {
  const segment = (speakerId: string, startMs: number, endMs: number): TranscriptSegment => ({ speakerId, startMs, endMs, text: 'x' })
  const timeOf = (...segments: TranscriptSegment[]) => extract(ask({ segments }, ['talk-time']), { cutChinese, sentencesMax: 2000 })
  t.same(timeOf(segment('b', 1200, 2000), segment('a', 0, 1000), segment('a', 500, 1500)).talkTime, {
    speakers: [
      { speakerId: 'a', ms: 1500, share: 0.6522 },
      { speakerId: 'b', ms: 800, share: 0.3478 },
    ],
    speechMs: 2000,
    overlapMs: 300,
  })
  t.equal(timeOf(segment('a', 5, 5)).talkTime, null, 'no length')
  const plain = find('Hello there.', ['talk-time'])
  t.equal(plain.talkTime, null, 'no times')
  t.match(plain.warnings, [/no times/])
})

t.test('action items', async (t) => {
  const rule = (text: string) => find(text, ['action-items']).actionItems?.map((item) => item.rule)[0]
  for (const [text, wanted] of [
    ['Action item: new dashboard.', 'en-label'],
    ['Could you please send the report?', 'en-request'],
    ['Anna will write the guide by Friday.', 'en-deadline'],
    ["We'll fix the retry logic.", 'en-commitment'],
    ['Anna needs to update the guide.', 'en-assignment'],
    ['Tom is responsible for the rollout.', 'en-owner'],
    ['待办：更新看板', 'zh-label'],
    ['请王强提交测试报告。', 'zh-assignment'],
    ['张伟负责集群迁移。', 'zh-owner'],
    ['下周五之前完成测试。', 'zh-deadline'],
    ['我们明天会整理会议纪要。', 'zh-commitment'],
    ['We already fixed it, the report was sent.', undefined],
    ['测试报告已经提交了。', undefined],
    ['The gateway is slow.', undefined],
    ['今天天气很好。', undefined],
  ] as const) {
    t.equal(rule(text), wanted, text)
  }
  t.same(find('Hi. 请王强提交测试报告。', ['action-items']).actionItems, [
    { text: '请王强提交测试报告。', index: 1, rule: 'zh-assignment', heuristic: true },
  ])
  t.equal(find("We'll fix it. ".repeat(300), ['action-items']).actionItems?.length, 200, 'bounded')
})

t.test('language, digest, and what cannot be told', async (t) => {
  t.equal(find('今天讨论 Redis 集群的迁移。').language, 'zh')
  t.equal(find('The Redis cluster 集群.').language, 'en')
  t.equal(find('Hello', ['keywords'], { language: 'zh' }).language, 'zh')
  t.equal(find('abc').transcriptSha256, createHash('sha256').update('abc').digest('hex'))
  t.equal(
    extract(ask({ segments: [{ speakerId: 'a', startMs: 1, endMs: 2, text: 'x' }] }), { cutChinese, sentencesMax: 9 }).transcriptSha256,
    createHash('sha256').update('[["a",null,1,2,"x"]]').digest('hex'),
  )
  const empty = find('... 123 嗯')
  t.equal(empty.contentWords, 0)
  t.same([empty.summary, empty.keywords, empty.actionItems], [[], [], []])
  t.same(Object.keys(find('Hello.', [])), ['language', 'contentWords', 'transcriptSha256', 'warnings'], 'nothing that was not asked for')
})

t.test('without jieba Chinese words are split by ICU, and the result says so', async (t) => {
  const found = extract(ask({ text: '集群迁移。集群升级。' }, ['keywords']), { cutChinese: null, sentencesMax: 2000 })
  t.ok(found.keywords?.length)
  t.match(found.warnings, [/without jieba/])
  t.same(extract(ask({ text: 'Cats sleep.' }, ['keywords']), { cutChinese: null, sentencesMax: 2000 }).warnings, [], 'English needs none')
})

t.test('in threads', async (t) => {
  const analyzer = openTranscriptAnalysis({ threads: 1, maxSentences: 2000 })
  t.after(() => analyzer.close())
  const long: Transcript = {
    segments: someText(5000).map((text, at) => ({ speakerId: `s${at % 3}`, startMs: at * 100, endMs: at * 100 + 100, text })),
  }

  t.test('the same transcript gives the same bytes', async (t) => {
    const text = someText(60).join('')
    const answers = new Set<string>([JSON.stringify(find(text))])
    for (let run = 0; run < 5; run++) {
      const outcome = await analyzer.analyze(ask({ text }), never)
      answers.add(JSON.stringify(outcome.kind === 'answered' ? outcome.answer : outcome))
    }
    t.equal(answers.size, 1)
    t.equal(analyzer.threads(), 1, 'the thread is kept')
  })

  t.test('5000 segments', async (t) => {
    const outcome = await analyzer.analyze(ask(long, ['summary', 'talk-time'], { withSentences: true }), never)
    if (outcome.kind !== 'answered') throw outcome.cause
    t.equal(outcome.answer.summary?.length, 5)
    t.equal(outcome.answer.sentences?.length, 5000)
    t.equal(outcome.answer.talkTime?.speechMs, 500_000)
  })

  t.test('timers go on firing while 2000 sentences are analysed', async (t) => {
    let fired = 0
    const timer = setInterval(() => fired++, 1)
    await analyzer.analyze(ask({ text: someText(2000).join('') }), never)
    clearInterval(timer)
    t.ok(fired > 0)
  })

  t.test('an abort ends the thread, and the next transcript gets a new one', async (t) => {
    const controller = new AbortController()
    const waiting = new AbortController()
    const running = analyzer.analyze(ask(long), controller.signal)
    const queued = analyzer.analyze(ask({ text: 'Cats.' }), waiting.signal)
    waiting.abort('no longer wanted')
    await t.rejects(
      queued.catch((reason) => Promise.reject(new Error(reason))),
      { message: 'no longer wanted' },
      'one that waits leaves the line',
    )
    controller.abort('stopped')
    await t.rejects(
      running.catch((reason) => Promise.reject(new Error(reason))),
      { message: 'stopped' },
    )
    await eventually('the thread has ended', () => analyzer.threads() === 0)
    await t.rejects(
      analyzer.analyze(ask({ text: 'Cats.' }), controller.signal).catch((reason) => Promise.reject(new Error(reason))),
      { message: 'stopped' },
    )
    t.equal((await analyzer.analyze(ask({ text: 'Cats.' }), never)).kind, 'answered')
  })
})

t.test('a thread that dies', async (t) => {
  const source =
    'export default ({ mode }) => mode === "die" ? process.exit(1) : mode === "fail" ? Promise.reject(new Error("dead")) : mode === "hang" ? new Promise(() => {}) : mode'
  const path = join(t.testdir({ 'worker.mjs': source }), 'worker.mjs')
  const analyzer = openTranscriptAnalysis({ threads: 2, maxSentences: 1 }, pathToFileURL(path))
  const run = (mode: string) => analyzer.analyze({ mode } as never, never)
  t.match(await run('fail'), { kind: 'crashed', cause: { message: 'dead' } })
  t.match(await run('die'), { kind: 'crashed' })
  t.same(
    await Promise.all(['a', 'b', 'c', 'd'].map(run)),
    ['a', 'b', 'c', 'd'].map((answer) => ({ kind: 'answered', answer })),
  )
  t.equal(analyzer.threads(), 2, 'no more than allowed')
  const ended = Promise.all([run('hang'), run('hang'), run('e')])
  await analyzer.close()
  await analyzer.close()
  t.match(await ended, [{ kind: 'crashed' }, { kind: 'crashed' }, { kind: 'crashed' }])
  await t.rejects(run('f'), { message: 'The analysis threads are closed' })
})

t.test('threads start from TypeScript sources under tsx too', async (t) => {
  const script = `
    const { openTranscriptAnalysis } = await import('./src/analysis/transcript-analysis.ts')
    const analyzer = openTranscriptAnalysis({ threads: 1, maxSentences: 2000 })
    const request = { transcript: { text: 'Cats sleep.' }, parts: ['keywords'], language: 'auto', maxSentences: 1, maxKeywords: 1 }
    console.log(JSON.stringify(await analyzer.analyze(request, new AbortController().signal)))
    await analyzer.close()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    env: childEnvironment(),
  })
  t.match(JSON.parse(stdout), { kind: 'answered', answer: { keywords: [{ term: 'Cats' }] } })
})
