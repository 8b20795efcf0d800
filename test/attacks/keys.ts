// The keys that attackers hold: two tenants with a key of every scope, and keys that are limited to some types or queues.

import { createClient } from './client.js'

export const tenants = ['red', 'blue'] as const
export type Tenant = (typeof tenants)[number]

/** `all` may do all with jobs, and nothing of an operator. */
const scopesOf = {
  submit: ['jobs:submit'],
  read: ['jobs:read'],
  manage: ['jobs:manage'],
  work: ['work'],
  types: ['types:manage'],
  admin: ['admin'],
  all: ['jobs:submit', 'jobs:read', 'jobs:manage'],
} as const
export type KeyName = keyof typeof scopesOf
export const keyNames = Object.keys(scopesOf) as KeyName[]

export interface IssuedKey {
  readonly id: string
  readonly key: string
}

/** Issues one key as an operator does. */
export const issueKey = async (url: string, admin: string, wanted: object): Promise<IssuedKey> => {
  const client = createClient(url, '127.0.0.1')
  try {
    const { status, json, text } = await client.send({ method: 'POST', path: '/admin/api-keys', key: admin, body: wanted })
    if (status !== 201) throw new Error(`no key was issued: ${status} ${text}`)
    return { id: json.apiKey.id, key: json.key }
  } finally {
    await client.close()
  }
}

export const issueKeys = async (url: string, admin: string) => {
  const issue = (wanted: object) => issueKey(url, admin, wanted)
  const ofTenant = async (tenant: Tenant): Promise<Record<KeyName, string>> => {
    const issued = await Promise.all(
      keyNames.map(async (name) => [name, (await issue({ name, tenant, scopes: scopesOf[name] })).key] as const),
    )
    return Object.fromEntries(issued) as Record<KeyName, string>
  }
  const [red, blue] = await Promise.all(tenants.map(ofTenant))
  return {
    admin,
    red: red as Record<KeyName, string>,
    blue: blue as Record<KeyName, string>,
    /** Of tenant red, limited to one type. */
    redTypes: (await issue({ name: 'types', tenant: 'red', scopes: scopesOf.all, types: ['process-webhook'] })).key,
    /** Of tenant red, limited to one queue. */
    redQueues: (await issue({ name: 'queues', tenant: 'red', scopes: scopesOf.all, queues: ['external-api'] })).key,
    good: (await issue({ name: 'good', tenant: 'good', scopes: scopesOf.all })).key,
  }
}

export type Keys = Awaited<ReturnType<typeof issueKeys>>
