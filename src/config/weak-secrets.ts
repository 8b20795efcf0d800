// Finds secrets that let in whoever guesses them: a gateway that others can reach does not start with one.

import { isIP } from 'node:net'

const charsMin = 16
const distinctMin = 6
/** Of neighbors that are equal or follow each other, as in 1234 and aaaa. One of 10^10 random texts of 32 hexadecimal digits has more. */
const stepShareMax = 0.7
/** Letters and digits that are left of a good secret without the words that everybody tries. */
const unguessableMin = 6
const commonWords =
  /admin(?:istrator)?|root|user|pass(?:word|wd)?|secret|change|please|token|default|demo|dev|test(?:ing)?|local|prod|example|jobgate|api|key|qwert[yz]|letmein|welcome|20\d\d|0?123456789|0?1234/g

const makeOne = 'Make one with `openssl rand -base64 32`.'

export interface WeakSecret {
  /** What is wrong with it; never the secret itself. */
  readonly reason: string
  /** Short enough to be tried out, whatever else it is. */
  readonly isTrivial: boolean
}

/** Null: nothing is known against it. */
export const findWeakness = (secret: string): WeakSecret | null => {
  const trivial = (reason: string): WeakSecret => ({ reason, isTrivial: true })
  if (secret.length < charsMin) return trivial(`it has fewer than ${charsMin} characters`)
  if (new Set(secret).size < distinctMin) return trivial(`it has fewer than ${distinctMin} different characters`)
  if (/^(.{1,16}?)\1+$/.test(secret)) return trivial('it repeats itself')
  if (shareOfSteps(secret) > stepShareMax) return trivial('it is a sequence of characters')
  const left = secret
    .toLowerCase()
    .replace(commonWords, '')
    .replace(/[^a-z0-9]/g, '')
  return left.length < unguessableMin ? { reason: 'it consists of common words', isTrivial: false } : null
}

const shareOfSteps = (text: string): number => {
  let steps = 0
  for (let at = 1; at < text.length; at++) if (Math.abs(text.charCodeAt(at) - text.charCodeAt(at - 1)) <= 1) steps++
  return steps / (text.length - 1)
}

/**
 * What to warn of, a line for each weak secret. Throws with one readable line when one of them is trivial and the gateway is exposed.
 * `secrets` are by the name of their setting; undefined where it is not set.
 */
export const judgeSecrets = (secrets: Readonly<Record<string, string | undefined>>, isExposed: boolean): string[] => {
  const warnings: string[] = []
  for (const [name, secret] of Object.entries(secrets)) {
    const weakness = secret === undefined ? null : findWeakness(secret)
    if (!weakness) continue
    const line = `${name} is easy to guess: ${weakness.reason}. ${makeOne}`
    if (weakness.isTrivial && isExposed) throw new Error(`Configuration: ${line}`)
    warnings.push(line)
  }
  return warnings
}

/** Whether others than this machine may reach the gateway: by its address, or through a proxy. */
export const isExposed = (host: string, proxies: readonly string[]): boolean => !isLoopback(host) || proxies.length > 0

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
