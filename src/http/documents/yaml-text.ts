// Writes YAML 1.2 of plain JSON values, in block style; and JSON that YAML readers take as well.

/** JSON allows characters that YAML, or what reads only YAML 1.1, does not have in a text. */
const unsafe = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g

/** JSON on one line, which means the same in a YAML document. */
export const toFlowText = (value: unknown): string =>
  JSON.stringify(value).replace(unsafe, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** YAML readers look for the `:` of a plain pair so far only. */
const plainKeyCharsMax = 1000
const textToken = /"(?:[^"\\]|\\.)*"(:?)/g

/** Marks keys that are too long to be keys without a mark, in the text of `toFlowText`. The result need not be JSON. */
export const toYamlFlow = (json: string): string =>
  json.replace(textToken, (token: string, colon: string) => (colon && token.length > plainKeyCharsMax ? `? ${token}` : token))

/** Texts that mean themselves without quotes, in every place and every version of YAML. */
const plainText = /^(?:[A-Za-z/$][\w/$.-]*(?: [\w/$.-]+)*|\d+\.\d+\.\d+)$/
const notText = /^(?:true|false|yes|no|on|off|null|y|n)$/i

const toScalar = (value: unknown): string =>
  typeof value === 'string' && value.length < plainKeyCharsMax && plainText.test(value) && !notText.test(value) ? value : toFlowText(value)

const isEmpty = (value: object): boolean => Object.keys(value).length === 0

/** Block style, without a line break at the end. `value` is what `JSON.parse` could give; `indent` stands in front of every line but the first. */
const toYaml = (value: unknown, indent = ''): string => {
  if (typeof value !== 'object' || value === null || isEmpty(value)) return toScalar(value)
  if (Array.isArray(value)) return value.map((each) => `- ${toYaml(each, `${indent}  `)}`).join(`\n${indent}`)
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .map(([key, each]) => toPair(key, each, indent))
    .join(`\n${indent}`)
}

/** The same text, with a call of `pause` between the parts of an object, down to `depth` objects. */
export const toYamlInParts = async (value: object, pause: () => Promise<void>, depth: number, indent = ''): Promise<string> => {
  const pairs: string[] = []
  for (const [key, each] of Object.entries(value)) {
    await pause()
    const isLarge = depth > 1 && typeof each === 'object' && each !== null && !Array.isArray(each) && !isEmpty(each)
    const below = `${indent}  `
    pairs.push(isLarge ? `${toScalar(key)}:\n${below}${await toYamlInParts(each, pause, depth - 1, below)}` : toPair(key, each, indent))
  }
  return pairs.join(`\n${indent}`)
}

const toPair = (key: string, value: unknown, indent: string): string => {
  const name = toScalar(key)
  if (name.length > plainKeyCharsMax) return `? ${name}\n${indent}: ${toYamlFlow(toFlowText(value))}`
  if (typeof value !== 'object' || value === null || isEmpty(value)) return `${name}: ${toScalar(value)}`
  const below = `${indent}  `
  return `${name}:\n${below}${toYaml(value, below)}`
}
