// Types that change at random under load: what every answer has to agree with afterwards.

import { setTimeout as pause } from 'node:timers/promises'
import { parseDefinition } from '../../src/types/contracts/definition.js'
import { createRandom } from '../../src/types/contracts/sample.js'
import { createContractValidator } from '../../src/types/contracts/validator.js'

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a problem or an object.
  readonly body: any
}
/** One request to one of the gateways; rejects when there is no answer. */
export type Ask = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: object | string) => Promise<Answer>

interface Options {
  /** A gateway, another one each time. */
  readonly ask: Ask
  readonly seed: number
  readonly types: number
  /** No more is begun once this gives true. */
  readonly isOver: (counts: Readonly<Record<'registered' | 'deleted' | 'accepted' | 'rejected', number>>) => boolean
  /** False: a request that fails or is answered with 503 is a gap, and no fault. */
  readonly isSteady: boolean
}

const members = ['a', 'b', 'c', 'd']

/**
 * Changes types and submits jobs until it is over; then looks at every job. Gives what does not hold, and counts.
 * The data of every version have a member that only it allows, so that data tell which versions they fit.
 */
export const raceTypes = async ({ ask, seed, types, isOver, isSteady }: Options) => {
  const random = createRandom(seed)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const faults: string[] = []
  const counts = { registered: 0, refused: 0, deleted: 0, accepted: 0, rejected: 0, gone: 0, unknown: 0 }
  const names = Array.from({ length: types }, (_, at) => `race-${at}`)
  /** Bodies that were ever put, by digest of what they allow; and what every version was when its PUT was answered. */
  const accepted: { id: string; type: string; version: number; data: object }[] = []
  const fault = (text: string) => {
    if (faults.length < 20) faults.push(text)
  }

  const toDefinition = () => {
    const chosen = members.filter(() => random() < 0.6)
    const max = 1 + Math.floor(random() * 5)
    return {
      description: 'Changes at random.',
      data: {
        type: 'object',
        properties: Object.fromEntries(chosen.map((name) => [name, { type: 'integer', minimum: 0, maximum: max }])),
        additionalProperties: false,
      },
      example: {},
      runs: { by: 'pull' },
      compatibility: random() < 0.5 ? 'none' : 'backward',
    }
  }
  const toData = () => Object.fromEntries(members.filter(() => random() < 0.3).map((name) => [name, Math.floor(random() * 6)]))

  /** Undefined: there was none, or it says that nothing is known. */
  const tryAsk: (...args: Parameters<Ask>) => Promise<Answer | undefined> = async (...args) => {
    try {
      const answer = await ask(...args)
      if (answer.status < 500) return answer
      counts.unknown++
      if (isSteady || answer.status !== 503) fault(`${args[0]} ${args[1]}: ${answer.status} ${JSON.stringify(answer.body)}`)
    } catch (error) {
      counts.unknown++
      if (isSteady) fault(`${args[0]} ${args[1]}: ${(error as Error).message}`)
      // Whoever is gone is not asked without a pause.
      await pause(20)
    }
    return undefined
  }

  /** Cancels what waits of a type, so that it can go. */
  const purge = async (type: string): Promise<void> => {
    for (const state of ['delayed', 'waiting']) {
      // A page may be short and still have a next one: most jobs are cancelled by and by.
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query: string = cursor === '' ? '' : `&cursor=${cursor}`
        const listed: Answer | undefined = await tryAsk('GET', `/v1/jobs?type=${type}&state=${state}&limit=200${query}`)
        await Promise.all((listed?.body.items ?? []).map(({ id }: { id: string }) => tryAsk('DELETE', `/v1/jobs/${id}`)))
        cursor = listed?.body.next ?? null
      }
    }
  }

  const change = async (): Promise<void> => {
    const type = pick(names)
    if (random() < 0.3) {
      await purge(type)
      const deleted = await tryAsk('DELETE', `/v1/job-types/${type}`)
      if (deleted?.status === 204) counts.deleted++
      else if (deleted && ![404, 409].includes(deleted.status)) fault(`DELETE: ${deleted.status}`)
      return
    }
    const put = await tryAsk('PUT', `/v1/job-types/${type}${random() < 0.3 ? '?force=true' : ''}`, toDefinition())
    if (put && put.status < 300) counts.registered++
    else if (put?.status === 409) counts.refused++
    else if (put) fault(`PUT: ${put.status} ${JSON.stringify(put.body)}`)
  }

  const note = (status: number, job: { id: string; typeVersion?: number } | undefined, submission: { type: string; data: object }) => {
    if (status === 202 && job) {
      counts.accepted++
      accepted.push({ id: job.id, type: submission.type, version: job.typeVersion ?? 0, data: submission.data })
    } else if (status === 400 || status === 404) counts.rejected++
    else fault(`a submission was answered with ${status}`)
  }

  const submit = async (): Promise<void> => {
    const make = () => ({ type: pick(names), data: toData(), options: { delayMs: 3_600_000 } })
    const way = Math.floor(random() * 5)
    if (way <= 1) {
      const submission = make()
      const answer = await tryAsk('POST', '/v1/jobs', submission)
      if (answer) note(answer.status, answer.body, submission)
    } else if (way <= 3) {
      const items = [make(), make(), make()]
      const answer = await tryAsk(
        'POST',
        '/v1/jobs/batch',
        way === 2 ? { items } : `${items.map((each) => JSON.stringify(each)).join('\n')}\n`,
      )
      for (const { index, status, id } of answer?.body.items ?? []) note(status, { id }, items[index] as ReturnType<typeof make>)
    } else {
      const { options: _, ...follower } = make()
      const submission = { ...make(), followUps: [follower] }
      const answer = await tryAsk('POST', '/v1/jobs', submission)
      if (answer) note(answer.status, answer.body, submission)
    }
  }

  const schedule = async (): Promise<void> => {
    const path = `/v1/schedules/race-${Math.floor(random() * 3)}`
    if (random() < 0.5) await tryAsk('DELETE', path)
    else await tryAsk('PUT', path, { type: pick(names), data: toData(), everyMs: 1000 })
  }

  const keep = async (...acts: (() => Promise<void>)[]) => {
    while (!isOver(counts)) await pick(acts)()
  }
  await Promise.all([keep(change), keep(change), ...Array.from({ length: 4 }, () => keep(submit)), keep(submit, schedule)])

  /** What is told of a job that is there: its version is one that was registered, and its data fit it. */
  const definitions = new Map<string, Answer | undefined>()
  const judge = async (id: string): Promise<void> => {
    const job = await ask('GET', `/v1/jobs/${id}`)
    if (job.status === 404) {
      counts.gone++
      return
    }
    const { type, typeVersion, data } = job.body
    const path = `/v1/job-types/${type}/versions/${typeVersion}`
    if (!definitions.has(path)) definitions.set(path, await ask('GET', path))
    const version = definitions.get(path)
    const read = version?.status === 200 ? parseDefinition(version.body.definition) : undefined
    if (read?.kind !== 'definition')
      return fault(`${id} names version ${typeVersion} of ${type}, which is not registered: ${version?.status}`)
    if (!createContractValidator(read.definition.data)(data)) fault(`${id} does not fit version ${typeVersion}: ${JSON.stringify(data)}`)
  }
  for (let at = 0; at < accepted.length; at += 16) await Promise.all(accepted.slice(at, at + 16).map(({ id }) => judge(id)))
  return { faults, counts, names, purge }
}
