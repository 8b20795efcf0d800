// Checks manifests against the schemas of Kubernetes and KEDA, as strictly as `kubectl apply` does: unknown fields are faults.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './source-files.js'

interface Validate {
  (data: unknown): boolean
  errors?: { instancePath: string; message?: string; keyword: string; params: unknown }[] | null
}

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Where the packages keep the compiled schema of a kind; by path, since they export classes only. */
const fileOf = ({ apiVersion, kind }: Manifest): string => {
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['core', apiVersion]
  if (group === 'keda.sh') return `@kubernetes-models/keda/_schemas/KedaSh${capital(version)}${kind}.mjs`
  return `kubernetes-models/_schemas/IoK8sApi${capital(group.split('.')[0] as string)}${capital(version)}${kind}.mjs`
}

/** Notes which members are looked at. The compiled schemas read every member they know, and no other. */
const watchReads = (data: object) => {
  const watched: { target: object; read: Set<string>; path: string }[] = []
  const wrap = (value: unknown, path: string): unknown => {
    if (value === null || typeof value !== 'object') return value
    const read = new Set<string>()
    const members = new Map<string, unknown>()
    watched.push({ target: value, read, path })
    return new Proxy(value, {
      get(target, name) {
        if (typeof name === 'symbol') return Reflect.get(target, name)
        read.add(name)
        if (!members.has(name)) members.set(name, wrap(Reflect.get(target, name), `${path}/${name}`))
        return members.get(name)
      },
    })
  }
  const unread = () =>
    watched.flatMap(({ target, read, path }) =>
      Object.keys(target)
        .filter((name) => !read.has(name))
        .map((name) => `${path}/${name} is unknown`),
    )
  return { data: wrap(data, ''), unread }
}

/** What is wrong with a manifest; empty when Kubernetes would take it. */
export const manifestFaults = async (manifest: Manifest): Promise<string[]> => {
  const path = join(root, 'node_modules', fileOf(manifest))
  if (!existsSync(path)) return [`there is no ${manifest.apiVersion} ${manifest.kind}`]
  const { validate } = (await import(pathToFileURL(path).href)) as { validate: Validate }
  const { data, unread } = watchReads(manifest)
  const faults = validate(data)
    ? []
    : (validate.errors ?? []).map((each) => `${each.instancePath} ${each.keyword} ${JSON.stringify(each.params)}`)
  return [...faults, ...unread()]
}
