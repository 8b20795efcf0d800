// A secret in every form in which it could lie about.

/** The text itself, escaped, in hexadecimal, and in base64 wherever in a longer text it begins. */
export const formsOf = (secret: string): string[] => {
  const base64 = [0, 1, 2].flatMap((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)])
    // Characters at the ends also hold bits of what stands beside it.
    const text = whole.toString('base64').replaceAll('=', '')
    const inner = text.slice(before === 0 ? 0 : before + 1, whole.length % 3 === 0 ? undefined : -1)
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]
  })
  const all = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString('hex'), ...base64]
  return [...new Set(all)]
}

/** The names of those that are in the text. */
export const canariesIn = (text: string, canaries: Readonly<Record<string, string>>): string[] =>
  Object.entries(canaries)
    .filter(([, secret]) => formsOf(secret).some((form) => text.includes(form)))
    .map(([name]) => name)
