// Writes docs/job-types.md from the built-in job types: what each job type takes, gives back and fails with.

/** Prefix of the error codes of each integration. */
const prefixes = {
  smtp: 'smtp',
  objectStorage: 'upload',
  lark: 'lark',
  tencentMeeting: 'tencent',
  aliyunSms: 'sms',
  analyzer: 'analysis',
  llm: 'llm',
}

/** Integrations that a type calls when the job or the settings say so, beside those it requires. */
const optionalOf = {
  'process-meeting-record': ['tencentMeeting'],
  'analyze-meeting-content': ['tencentMeeting', 'llm'],
  'upload-recording': ['tencentMeeting'],
}

const code = (text) => (String(text).includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``)
const cell = (text) => String(text).replace(/\s+/g, ' ').replaceAll('|', '\\|')
const toTable = (head, rows) =>
  [head, head.map(() => '---'), ...rows.map((row) => row.map(cell))].map((row) => `| ${row.join(' | ')} |`).join('\n')
const number = (value) => value.toLocaleString('en-US')

const alternativesOf = (schema) => schema.oneOf ?? schema.anyOf

const toType = (schema) => {
  const alternatives = alternativesOf(schema)
  if (alternatives) return [...new Set(alternatives.map(toType))].join(' or ')
  if (schema.const !== undefined) return code(JSON.stringify(schema.const))
  if (schema.enum) return schema.enum.map((value) => code(value)).join(', ')
  if (schema.type === 'array') return `array of ${toType(schema.items)}`
  if (schema.patternProperties) return `object of ${toType(Object.values(schema.patternProperties)[0])}`
  if (schema.format === 'date-time') return 'time (RFC 3339)'
  return schema.type ?? 'any'
}

const toRange = (least, most, unit = '') => {
  if (least === undefined && most === undefined) return []
  if (least === undefined) return [`at most ${number(most)}${unit}`]
  if (most === undefined) return [`at least ${number(least)}${least === 1 ? unit.replace(/s$/, '') : unit}`]
  return [least === most ? `${number(most)}${unit}` : `${number(least)} to ${number(most)}${unit}`]
}

/** What a schema demands beyond its type. `phrases` say in words what patterns that occur everywhere mean. */
const toBounds = (schema, phrases) => {
  const alternatives = alternativesOf(schema)
  if (alternatives) return [...new Set(alternatives.map((each) => toBounds(each, phrases)))].filter(Boolean).join('; or ')
  const names = schema.patternProperties && Object.keys(schema.patternProperties)[0]
  return [
    ...(schema.format === 'date-time' ? [] : toRange(schema.minLength, schema.maxLength, ' characters')),
    ...toRange(schema.minimum, schema.maximum),
    ...toRange(schema.minItems, schema.maxItems, ' entries'),
    ...toRange(schema.minProperties, schema.maxProperties, ' members'),
    ...(schema.pattern ? [phrases.get(schema.pattern) ?? `matches ${code(schema.pattern)}`] : []),
    ...(names ? [`names match ${code(names)}`] : []),
    ...(schema.items ? [toBounds(schema.items, phrases)].filter(Boolean).map((bounds) => `each ${bounds}`) : []),
  ].join('; ')
}

/** One row for each member, those of objects inside it too, by their path. */
const toFields = (schema, path = '') =>
  Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const at = `${path}${name}`
    const required = schema.required?.includes(name) ?? false
    const own = { at, required, sensitive: member['x-sensitive'] === true, member }
    return [own, ...below(member, at)]
  })

const below = (member, at) => {
  if (member.type === 'array') return below(member.items, `${at}[]`)
  const alternatives = alternativesOf(member) ?? [member]
  return alternatives.flatMap((each) => (each.properties ? toFields(each, `${at}.`) : []))
}

const toDataTable = (phrases) => (schema) =>
  toTable(
    ['Field', 'Type', 'Required', 'Bounds', 'Sensitive', 'Meaning'],
    toFields(schema).map(({ at, required, sensitive, member }) => [
      code(at),
      toType(member),
      required ? 'yes' : 'no',
      toBounds(member, phrases),
      sensitive ? 'yes' : 'no',
      member.description ?? '',
    ]),
  )

const toResultTable = (schema) =>
  toTable(
    ['Field', 'Type', 'Always', 'Meaning'],
    toFields(schema).map(({ at, required, member }) => [code(at), toType(member), required ? 'yes' : 'no', member.description ?? '']),
  )

/** The tables of a schema, one for each form that it knows. */
const toTables = (schema, toOneTable) => {
  const forms = alternativesOf(schema)
  if (!forms) return [toOneTable(schema)]
  const tag = schema.discriminator?.propertyName
  return forms.flatMap((form, at) => {
    const value = tag && form.properties[tag].const
    const name = value === undefined ? `Form ${at + 1} of ${forms.length}` : `With ${code(tag)} ${code(value)}`
    return [`**${name}.** ${form.description ?? ''}`.trim(), toOneTable(form)]
  })
}

const prefixesOf = ({ name, requires, requiresOneOf = [] }) =>
  [...requires, ...requiresOneOf, ...(optionalOf[name] ?? [])].map((each) => prefixes[each])

/** What an operator has to set for it, as one line; none for what runs as it is. `variables` by integration. */
const toNeeds = ({ requires, requiresOneOf = [] }, variables) => {
  // Analyses run everywhere.
  const names = requires.filter((name) => name !== 'analyzer').map((name) => variables[name])
  if (requiresOneOf.length > 0) names.push(requiresOneOf.map((name) => variables[name]).join(' or '))
  const text = names.join(' and ').replace(/[A-Z]+(?:_[A-Z]+)+/g, code)
  return text === '' ? [] : [`Workers need ${text}; without it, the job fails at once with \`not_configured\`.`]
}

const toTypeSection = (type, { attempts, backoffMs }, phrases, variables) => {
  const { priority, timeoutMs } = type.defaults
  const backoff = type.defaults.backoff ?? { type: 'exponential', delayMs: backoffMs }
  return [
    `## ${type.name}`,
    type.description,
    `Queue ${code(type.queue)}. Defaults: ${type.defaults.attempts ?? attempts} attempts, ${backoff.type} ` +
      `backoff from ${number(backoff.delayMs)} ms, priority ${code(priority)}, ${number(timeoutMs)} ms per attempt.`,
    ...toNeeds(type, variables),
    '### Data',
    ...toTables(type.data, toDataTable(phrases)),
    '### Result',
    ...toTables(type.result, toResultTable),
    '### Errors',
    ['[Common ones](#common)', ...prefixesOf(type).map((prefix) => `[\`${prefix}.\`](#${prefix})`)].join(', '),
    '### Example',
    `\`\`\`json\n${JSON.stringify({ type: type.name, data: type.example }, null, 2)}\n\`\`\``,
  ]
}

const toErrorSection = (prefix, jobErrors) => [
  `### ${prefix === '' ? 'Common' : prefix}`,
  toTable(
    ['Code', 'Retryable', 'Meaning'],
    Object.entries(jobErrors)
      .filter(([name]) => (name.includes('.') ? name.split('.')[0] : '') === prefix)
      .map(([name, { retryable, meaning }]) => [code(name), retryable ? 'yes' : 'no', meaning]),
  ),
]

/**
 * The document as text. `defaults` are those of the configuration, for types that have none of their own;
 * `phrases` maps patterns to words, `variables` integrations to the setting that each begins with.
 * Throws when a type calls an integration that this file knows no errors of.
 */
export const toJobTypesDocument = ({ types, jobErrors, defaults, phrases, variables }) => {
  const unknown = [
    ...types.flatMap(({ requires, requiresOneOf = [] }) => [...requires, ...requiresOneOf]).filter((name) => !(name in prefixes)),
    ...Object.keys(optionalOf).filter((name) => !types.some((type) => type.name === name)),
  ]
  if (unknown.length > 0) throw new Error(`scripts/openapi/job-types-document.mjs does not fit the jobTypes: ${unknown.join(', ')}`)
  return `${[
    '<!-- Written by `npm run openapi` from src/builtin/builtin.ts and the job-errors.ts of each subject: change those. -->',
    '# Job types',
    'Send the `data` below in `POST /v1/jobs`; the job returns its result in `result`. Unknown members are ' +
      'refused. Sensitive members appear as `***` in every response and are encrypted in Redis if `DATA_ENCRYPTION_KEY` is set. ' +
      '`GET /v1/job-types` returns the schemas.',
    types.map(({ name, queue }) => `- [${name}](#${name}) (${queue})`).join('\n'),
    ...types.flatMap((type) => toTypeSection(type, defaults, phrases, variables)),
    '## Errors',
    'A failed job has one of these codes in `error.code`. Retryable means that the same job may succeed later.',
    ...['', ...Object.values(prefixes)].flatMap((prefix) => toErrorSection(prefix, jobErrors)),
  ].join('\n\n')}\n`
}
