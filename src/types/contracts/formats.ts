// The formats that a contract may ask of a text.

import { fullFormats } from 'ajv-formats/dist/formats.js'
import { isDateTime } from '../validator.js'
import { limits } from './contract.js'

/** Longer texts have none of these forms; and neither these tests nor a pattern beside them is given more to read. */
const charsMax: Readonly<Record<string, number>> = {
  'date-time': 64,
  date: 10,
  time: 64,
  duration: 256,
  email: 320,
  uuid: 45,
  ipv4: 15,
  ipv6: 45,
  hostname: 256,
}

/** Characters of the longest text that has this form. */
export const formatCharsMax = (name: string): number => charsMax[name] ?? limits.patternedText

/** Those of ajv-formats; `date-time` is our own, as everywhere else. */
const formatsOfAjv = ['date', 'time', 'duration', 'email', 'uri', 'uuid', 'ipv4', 'ipv6', 'hostname', 'json-pointer'] as const

type Test = (text: string) => boolean

const toTest = (name: (typeof formatsOfAjv)[number]): Test => {
  const format = fullFormats[name]
  if (format instanceof RegExp) return (text) => format.test(text)
  const test = typeof format === 'function' ? format : (format as { validate: Test | RegExp }).validate
  return test instanceof RegExp ? (text) => test.test(text) : (test as Test)
}

const tests: ReadonlyMap<unknown, Test> = new Map<unknown, Test>([
  ['date-time', isDateTime],
  ...formatsOfAjv.map((name): [string, Test] => [name, toTest(name)]),
])

export const formatNames = [...tests.keys()] as readonly string[]

export const isKnownFormat = (name: unknown): boolean => tests.has(name)

/** Whether texts have the form of that name, which is known. */
export const createFormatTest = (name: string): Test => {
  const test = tests.get(name) as Test
  const most = formatCharsMax(name)
  return (text) => text.length <= most && test(text)
}
