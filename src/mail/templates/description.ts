// Describes a mail template to an operator: whose it is, what it wants, and which version of it was read.

import { createHash } from 'node:crypto'
import { Kind, type TObject, type TSchema } from '@sinclair/typebox'
import { type Locale, locales } from '../schema.js'
import type { MailSources } from './texts.js'

/** One source of a template. */
export interface TemplatePart {
  readonly locale: Locale
  readonly part: keyof MailSources
  /** Name of the operator's file, without its folder; null for Jobgate's own. */
  readonly file: string | null
  /** Of the source, in hex. */
  readonly sha256: string
}

export interface TemplateField {
  readonly name: string
  /** `any`: whatever JSON can say. */
  readonly type: 'string' | 'any'
  /** In characters; null where nothing but the size of all data limits it. */
  readonly lengthMax: number | null
  readonly required: boolean
}

export interface TemplateDescription {
  readonly name: string
  /** The job type that sends it. */
  readonly jobType: string
  /** `mixed`: Jobgate's own, with parts of the operator's folder. */
  readonly source: 'built-in' | 'folder' | 'mixed'
  /** Languages it has words of its own in. */
  readonly languages: Locale[]
  readonly fields: TemplateField[]
  readonly parts: TemplatePart[]
  /** The same wherever the same sources were read; 16 hexadecimal digits. */
  readonly version: string
}

const versionDigits = 16
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export const toPart = (locale: Locale, part: keyof MailSources, source: string, file: string | null = null): TemplatePart => ({
  locale,
  part,
  file,
  sha256: sha256(source),
})

/** In: every part that the template has. */
export const describeTemplate = (
  name: string,
  { jobType, data, parts }: { readonly jobType: string; readonly data: TObject; readonly parts: readonly TemplatePart[] },
): TemplateDescription => {
  const own = parts.filter(({ file }) => file === null).length
  return {
    name,
    jobType,
    source: own === 0 ? 'folder' : own === parts.length ? 'built-in' : 'mixed',
    languages: locales.filter((locale) => parts.some((part) => part.locale === locale)),
    fields: Object.entries(data.properties).map(([member, schema]) => toField(member, schema, data.required?.includes(member) === true)),
    parts: [...parts],
    version: sha256(parts.map((part) => `${part.locale}.${part.part}:${part.sha256}`).join('\n')).slice(0, versionDigits),
  }
}

const toField = (name: string, schema: TSchema, required: boolean): TemplateField => ({
  name,
  type: schema[Kind] === 'String' ? 'string' : 'any',
  lengthMax: (schema['maxLength'] as number | undefined) ?? null,
  required,
})
