// Follows an operator's long operation to its end, over HTTP.

import type { TestApp } from './build-test-app.js'
import { eventually } from './eventually.js'

export interface OperationAnswer {
  readonly id: string
  readonly state: string
  readonly affected: number
  readonly scanned: number
  readonly total: number
  readonly cancelRequested: boolean
  readonly finishedAt: string | null
}

/** POSTs to `/admin/queues/{path}`. */
export const begin = ({ request }: TestApp, path: string, payload?: object) =>
  request({ method: 'POST', url: `/admin/queues/${path}`, ...(payload ? { payload } : {}) })

/** The operation once it no longer runs. */
export const ended = async ({ request }: TestApp, id: string): Promise<OperationAnswer> => {
  let operation: OperationAnswer | undefined
  await eventually(
    `operation ${id} has ended`,
    async () => {
      operation = (await request({ method: 'GET', url: `/admin/operations/${id}` })).json() as OperationAnswer
      return operation.state !== 'running'
    },
    20_000,
  )
  return operation as OperationAnswer
}

/** Begins an operation and waits for its end. */
export const carryOut = async (test: TestApp, path: string, payload?: object): Promise<OperationAnswer> => {
  const answer = await begin(test, path, payload)
  if (answer.statusCode !== 202) throw new Error(`${path} answers ${answer.statusCode}: ${answer.body}`)
  return ended(test, answer.json().id)
}
