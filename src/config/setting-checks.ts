// Checks and reads single settings. Every fault is one readable line, without the value where that may be secret.

import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

export interface HostPort {
  host: string
  port: number
}

const portMax = 65_535

/** Entries of the form `host:port`, or `[address]:port`. */
export const toHostPorts = (name: string, entries: string[]): HostPort[] =>
  entries.map((entry) => {
    const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})\s*$/.exec(entry)
    const port = Number(match?.[3])
    if (!match || port < 1 || port > portMax) {
      throw new Error(`Configuration: ${name} must be a comma-separated list of host:port; "${entry}" is not valid`)
    }
    return { host: (match[1] ?? match[2]) as string, port }
  })

/** One entry of a list of ports. */
export const requirePort = (name: string, entry: string): number => {
  const port = /^\s*\d{1,5}\s*$/.test(entry) ? Number(entry) : 0
  if (port < 1 || port > portMax) throw new Error(`Configuration: ${name} must be a comma-separated list of ports; "${entry}" is not valid`)
  return port
}

/** The address as given, which starts with one of `protocols`, such as `http:`. */
export const requireUrl = (name: string, value: string, protocols: string[]): string => {
  let url: URL
  try {
    url = new URL(value)
  } catch {
    // The value may hold a password: it is not repeated.
    throw new Error(`Configuration: ${name} is not a valid URL`)
  }
  if (!protocols.includes(url.protocol)) throw new Error(`Configuration: ${name} must start with ${protocols.join(' or ')}//`)
  return value
}

/** The text of a file that a setting names. */
export const readNamedFile = (name: string, path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Configuration: cannot read the file in ${name}: ${(error as Error).message}`)
  }
}

/** Addresses, CIDR ranges, and the names of ranges that Fastify knows. */
export const requireProxies = (name: string, entries: readonly string[]): readonly string[] =>
  entries.map((entry) => {
    const text = entry.trim()
    const [address = '', bits, ...more] = text.split('/')
    const version = isIP(address)
    const isRange = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
    if (proxyRanges.has(text) || (version !== 0 && isRange && more.length === 0)) return text
    throw new Error(`Configuration: ${name} must be a comma-separated list of addresses and CIDR ranges; "${entry}" is not valid`)
  })

const proxyRanges: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal'])

/** A key as a header can carry it; undefined when none is set. */
export const requireKey = (name: string, key: string | undefined): string | undefined => {
  if (key !== undefined && !/^[\x21-\x7e]{8,512}$/.test(key))
    throw new Error(`Configuration: ${name} must be 8 to 512 visible ASCII characters`)
  return key
}

/** Entries of the form `name=value`. Values may be secret: they are not repeated. */
export const toPairs = (name: string, entries: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    entries.map((entry) => {
      const [, key, value] = /^\s*([^\s=,;]+)\s*=\s*([\x21-\x7e]*)\s*$/.exec(entry) ?? []
      if (key === undefined || value === undefined) throw new Error(`Configuration: ${name} must be a comma-separated list of name=value`)
      try {
        return [key, decodeURIComponent(value)]
      } catch {
        throw new Error(`Configuration: ${name} contains a value that is not percent-encoded`)
      }
    }),
  )

/** True when all are set, false when none is. Throws about those that others make necessary. */
export const areTogether = (what: string, settings: Readonly<Record<string, unknown>>): boolean => {
  const missing = Object.keys(settings).filter((name) => settings[name] === undefined)
  if (missing.length === 0) return true
  if (missing.length === Object.keys(settings).length) return false
  throw new Error(`Configuration: ${what} is incomplete; set ${missing.join(', ')} too`)
}
