// Puts times and lengths of an e-mail into words, in the language and time zone of its reader.

import type { Locale } from '../schema.js'

const tags: Readonly<Record<Locale, string>> = { en: 'en-GB', zh: 'zh-CN' }

/** A day, a time on the 24-hour clock and its zone, with the offset unless that is UTC. `at` in milliseconds since 1970. */
export const toWhen = (at: number, timeZone: string, locale: Locale): string => {
  const isUtc = timeZone === 'UTC'
  const text = new Intl.DateTimeFormat(tags[locale], {
    weekday: 'long',
    year: 'numeric',
    month: 'long',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone,
    ...(isUtc ? {} : { timeZoneName: 'shortOffset' }),
  }).format(at)
  if (isUtc) return `${text} UTC`
  return locale === 'zh' ? `${text}（${timeZone}）` : `${text} (${timeZone})`
}

const units: readonly { readonly ms: number; readonly words: Readonly<Record<Locale, readonly [one: string, many: string]>> }[] = [
  { ms: 86_400_000, words: { en: ['day', 'days'], zh: ['天', '天'] } },
  { ms: 3_600_000, words: { en: ['hour', 'hours'], zh: ['小时', '小时'] } },
  { ms: 60_000, words: { en: ['minute', 'minutes'], zh: ['分钟', '分钟'] } },
]

/** Whole minutes, rounded down: a validity is never overstated. `ms` of at least one minute. */
export const toLength = (ms: number, locale: Locale): string => {
  let rest = ms
  const parts = units.flatMap((unit) => {
    const count = Math.floor(rest / unit.ms)
    rest -= count * unit.ms
    return count > 0 ? [`${count} ${unit.words[locale][count === 1 ? 0 : 1]}`] : []
  })
  return parts.join(' ')
}
