// `jobgate keys`: an operator issues, lists and revokes API keys straight in Redis, without a running gateway.

import { once } from 'node:events'
import { parseArgs } from 'node:util'
import type { Logger } from 'pino'
import { type ApiKeyRecords, createApiKeyRecords } from '../auth/api-key-records.js'
import { NewApiKey, newApiKeyProblems } from '../auth/api-key-schemas.js'
import { scopes } from '../auth/grants.js'
import type { Config } from '../config/config.js'
import { commandLine, noteApiKey } from '../operations/audit.js'
import { openRedis, type RedisClient } from '../redis/connect.js'
import { createKeys } from '../redis/redis-keys.js'
import type { FieldProblem } from '../types/field-problems.js'
import { type SchemaError, toFieldProblems } from '../types/field-problems.js'
import { validatorCompilers } from '../types/validator.js'

const usage = `Usage:
  jobgate keys issue --name <text> --scope <scope>... [--tenant <name>] [--type <job type>...] [--queue <queue>...]
                     [--rate-limit <requests per window>] [--expires-at <RFC 3339 time>]
  jobgate keys list
  jobgate keys revoke <id>
Scopes: ${scopes.join(', ')}.`

const connectTimeoutMs = 5000
const pageSize = 200

type Action = (records: ApiKeyRecords, print: (line: string) => void) => Promise<number>

/**
 * Runs `jobgate keys …`. In: the arguments after `keys`; `print` writes one line to standard output.
 * Out: the exit code: 0 done, 1 no such key, 2 wrong arguments.
 * Throws when Redis cannot be reached.
 */
export const runKeys = async (args: string[], deps: { config: Config; log: Logger; print: (line: string) => void }): Promise<number> => {
  const { config, log, print } = deps
  const action = toAction(args)
  if (typeof action === 'string') {
    print(`${action}\n${usage}`)
    return 2
  }
  const redis = await open(config, log)
  try {
    await waitUntilReady(redis.request)
    return await action(createApiKeyRecords({ redis: redis.request, keys: createKeys(config.redis.prefix), log }), print)
  } finally {
    await redis.close()
  }
}

/** What the arguments ask for, or what is wrong with them. */
const toAction = (args: string[]): Action | string => {
  const [name, ...rest] = args
  switch (name) {
    case 'issue':
      return toIssue(rest)
    case 'list':
      return rest.length === 0 ? list : 'list takes no arguments.'
    case 'revoke':
      return rest.length === 1 ? toRevoke(rest[0] as string) : 'revoke takes one ID.'
    default:
      return name === undefined ? 'Missing subcommand.' : `Unknown subcommand "${name}".`
  }
}

const issueOptions = {
  name: { type: 'string' },
  scope: { type: 'string', multiple: true },
  tenant: { type: 'string' },
  type: { type: 'string', multiple: true },
  queue: { type: 'string', multiple: true },
  'rate-limit': { type: 'string' },
  'expires-at': { type: 'string' },
} as const

const toIssue = (args: string[]): Action | string => {
  const values = parseIssue(args)
  if (values instanceof Error) return values.message
  const body = {
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(values.scope ? { scopes: values.scope } : {}),
    ...(values.tenant === undefined ? {} : { tenant: values.tenant }),
    ...(values.type ? { types: values.type } : {}),
    ...(values.queue ? { queues: values.queue } : {}),
    ...(values['rate-limit'] === undefined ? {} : { rateLimitMax: Number(values['rate-limit']) }),
    ...(values['expires-at'] === undefined ? {} : { expiresAt: values['expires-at'] }),
  }
  // The same bounds as over HTTP.
  const validate = validatorCompilers({})({ schema: NewApiKey })
  if (!validate(body)) {
    return toLines(toFieldProblems(validate.errors as SchemaError[]))
  }
  const grant = body as NewApiKey
  const problems = newApiKeyProblems(grant, Date.now())
  if (problems.length > 0) return toLines(problems)
  const expiresAt = grant.expiresAt ? Date.parse(grant.expiresAt) : null
  return async (records, print) => {
    const { name, tenant, scopes, types, queues } = grant
    const note = noteApiKey(commandLine, 'api-key.issued', { name, tenant, scopes, types, queues })
    const { key, info } = await records.issue({ ...grant, expiresAt }, note)
    print(`${key}\nThis is key ${info.id}. It is shown only once, so save it now.`)
    return 0
  }
}

const toLines = (problems: readonly FieldProblem[]): string =>
  problems.map(({ pointer, detail }) => `${pointer.slice(2)} ${detail}.`).join('\n')

const parseIssue = (args: string[]) => {
  try {
    return parseArgs({ args, options: issueOptions, strict: true, allowPositionals: false }).values
  } catch (error) {
    return error as Error
  }
}

const list: Action = async (records, print) => {
  let after: string | undefined
  do {
    const { items, next } = await records.list({ after, limit: pageSize })
    for (const { id, name, tenant, scopes, expiresAt } of items) {
      const expiry = expiresAt === null ? 'never expires' : `expires ${new Date(expiresAt).toISOString()}`
      print([id, name, tenant, scopes.join(','), expiry].join('\t'))
    }
    after = next ?? undefined
  } while (after !== undefined)
  return 0
}

const toRevoke =
  (id: string): Action =>
  async (records, print) => {
    const revoked = await records.revoke(id, noteApiKey(commandLine, 'api-key.revoked'))
    print(revoked ? `Revoked key ${id}.` : 'There is no key with this ID.')
    return revoked ? 0 : 1
  }

/** With an embedded Redis: the server of the gateway that runs on this directory, or else one of our own meanwhile. */
const open = async ({ redis: settings }: Config, log: Logger) => {
  if (settings.target.kind !== 'embedded') return openRedis({ settings, log })
  try {
    return await openRedis({ settings, log, share: true })
  } catch (error) {
    log.debug({ error: (error as Error).message }, 'no gateway is running on this directory')
    return openRedis({ settings, log })
  }
}

const waitUntilReady = async (client: RedisClient) => {
  if (client.status === 'ready') return
  try {
    await once(client, 'ready', { signal: AbortSignal.timeout(connectTimeoutMs) })
  } catch (error) {
    throw new Error('cannot connect to Redis', { cause: error })
  }
}
