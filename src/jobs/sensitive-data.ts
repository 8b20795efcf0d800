// The sensitive members of a job's data: masked for readers, encrypted at rest on demand, opened for handlers.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import type { JobType } from '../types/definition.js'
import type { JobTypes } from '../types/registry.js'

/** What clients see instead of a sensitive member. */
const mask = '***'

/** Paths to members marked `x-sensitive`; `*` stands for every entry of an array or record. */
type SensitivePath = readonly string[]

/** The schema parts that can lead to a member. */
interface SchemaNode {
  'x-sensitive'?: boolean
  properties?: Record<string, SchemaNode>
  patternProperties?: Record<string, SchemaNode>
  items?: SchemaNode
  anyOf?: SchemaNode[]
  oneOf?: SchemaNode[]
  allOf?: SchemaNode[]
}

/** Finds the sensitive members that a schema allows. */
const findSensitivePaths = (schema: SchemaNode, path: readonly string[] = []): SensitivePath[] => {
  if (schema['x-sensitive']) return [path]
  const below = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].flatMap((each) =>
    findSensitivePaths(each, path),
  )
  const members = Object.entries(schema.properties ?? {}).flatMap(([name, each]) => findSensitivePaths(each, [...path, name]))
  const entries = [...Object.values(schema.patternProperties ?? {}), ...(schema.items ? [schema.items] : [])].flatMap((each) =>
    findSensitivePaths(each, [...path, '*']),
  )
  return [...below, ...members, ...entries]
}

/** A copy of `value` in which `change` was applied to the member at `path`, if it is there. */
const changeAt = (value: unknown, path: SensitivePath, change: (member: unknown) => unknown): unknown => {
  const [name, ...rest] = path
  if (name === undefined) return change(value)
  if (Array.isArray(value)) return name === '*' ? value.map((each) => changeAt(each, rest, change)) : value
  if (value === null || typeof value !== 'object') return value
  const copy: Record<string, unknown> = { ...value }
  for (const member of name === '*' ? Object.keys(copy) : [name]) {
    if (Object.hasOwn(copy, member)) copy[member] = changeAt(copy[member], rest, change)
  }
  return copy
}

/** An encrypted member: `{ $encrypted: "<key id>.<iv>.<tag>.<text>" }`, all base64url. */
interface Encrypted {
  $encrypted: string
}

const isEncrypted = (value: unknown): value is Encrypted =>
  typeof value === 'object' && value !== null && typeof (value as Encrypted).$encrypted === 'string'

/**
 * Protects the sensitive members of one job type's data.
 * `keys` are AES-256 keys: the first encrypts, all decrypt; none leaves data as they are.
 */
export const createSensitiveData = ({ data, registered }: Pick<JobType, 'data' | 'registered'>, keys: readonly Buffer[]) => {
  const paths = registered?.sensitive ?? findSensitivePaths(data as SchemaNode)
  const byId = new Map(keys.map((key) => [keyId(key), key]))
  const [first] = keys
  const apply = (data: unknown, change: (member: unknown) => unknown) => paths.reduce((value, path) => changeAt(value, path, change), data)
  /** What was sealed last is opened first: a path may lead into a member that another one names. */
  const undo = (data: unknown, change: (member: unknown) => unknown) =>
    paths.reduceRight((value, path) => changeAt(value, path, change), data)
  return {
    /** For answers, events and operator views. */
    mask: (data: unknown): unknown => (paths.length === 0 ? data : apply(data, () => mask)),
    /** For storing. */
    seal: (data: unknown): unknown => (first && paths.length > 0 ? apply(data, (member) => encrypt(member, first)) : data),
    /** For handlers. Throws when the key that encrypted is not among `keys`. */
    open: (data: unknown): unknown =>
      paths.length === 0 ? data : undo(data, (member) => (isEncrypted(member) ? decrypt(member, byId) : member)),
  }
}

export type SensitiveData = ReturnType<typeof createSensitiveData>

/** The sensitive data of every job type, by its name; undefined for a type that is not registered. */
export interface SensitiveDataByType {
  /** Another number after every change of the job types: what was masked before may be out of date. */
  readonly revision?: number
  get(type: string): SensitiveData | undefined
}

/** Follows the registry. */
export const createSensitiveDataByType = (jobTypes: JobTypes, keys: readonly Buffer[]): SensitiveDataByType => {
  const made = new WeakMap<JobType, SensitiveData>()
  return {
    get revision() {
      return jobTypes.revision
    },
    get(name) {
      const type = jobTypes.find(name)
      if (!type) return undefined
      const known = made.get(type) ?? createSensitiveData(type, keys)
      made.set(type, known)
      return known
    },
  }
}

const keyId = (key: Buffer): string => createHash('sha256').update(key).digest('base64url').slice(0, 8)

const encrypt = (value: unknown, key: Buffer): Encrypted => {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
  const parts = [iv, cipher.getAuthTag(), text].map((part) => part.toString('base64url'))
  return { $encrypted: [keyId(key), ...parts].join('.') }
}

const decrypt = ({ $encrypted }: Encrypted, keys: ReadonlyMap<string, Buffer>): unknown => {
  const [id = '', iv = '', tag = '', text = ''] = $encrypted.split('.')
  const key = keys.get(id)
  if (!key) throw new Error(`DATA_ENCRYPTION_KEY does not contain the key ${id} that encrypted this job`)
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'))
  decipher.setAuthTag(Buffer.from(tag, 'base64url'))
  return JSON.parse(Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]).toString('utf8'))
}
