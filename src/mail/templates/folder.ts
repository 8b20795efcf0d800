// Reads an operator's mail templates from EMAIL_TEMPLATE_DIR, refusing what could not be sent later.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Locale } from '../schema.js'
import { compileTemplate, parseTemplate, type Render } from './compiler.js'
import { toDataSchema } from './fields.js'
import type { MailSources } from './texts.js'

/** One file of the folder, read and compiled. */
export interface FolderFile {
  /** Its name, without the folder. */
  readonly name: string
  readonly source: string
  /** Names the file at the head of an error. */
  readonly label: string
  readonly tree: unknown
  readonly isHtml: boolean
  readonly render: Render
}

/** The files of one template, as far as the folder has them. */
export type FolderTemplate = Partial<Record<Locale, Partial<Record<keyof MailSources, FolderFile>>>>

const fileName = /^([a-z0-9-]{1,64})\.(en|zh)\.(html|text|subject)\.hbs$/

/** Templates by name. Files that do not end in `.hbs` are left alone. Throws with one readable line that names the broken file. */
export const readTemplateFolder = (dir: string): Map<string, FolderTemplate> => {
  const found = new Map<string, FolderTemplate>()
  for (const file of inOneLine('EMAIL_TEMPLATE_DIR', () => readdirSync(dir).sort())) {
    if (!file.endsWith('.hbs')) continue
    const [, name, locale, part] = (fileName.exec(file) ?? []) as unknown as [string, string?, Locale?, (keyof MailSources)?]
    if (name === undefined || locale === undefined || part === undefined) {
      throw new Error(`EMAIL_TEMPLATE_DIR: ${file} must be named <name>.<en|zh>.<html|text|subject>.hbs`)
    }
    const template = found.get(name) ?? {}
    template[locale] = { ...template[locale], [part]: readTemplateFile(dir, file, part === 'html') }
    found.set(name, template)
  }
  return found
}

const readTemplateFile = (dir: string, file: string, isHtml: boolean): FolderFile => {
  const label = `EMAIL_TEMPLATE_DIR: ${file}`
  return inOneLine(label, () => {
    const source = readFileSync(join(dir, file), 'utf8')
    const tree = parseTemplate(source)
    toDataSchema([{ tree, isHtml }])
    return { name: file, source, label, tree, isHtml, render: compileTemplate(source, isHtml) }
  })
}

/** Runs `act`; what goes wrong becomes one line that starts with `label`. */
export const inOneLine = <T>(label: string, act: () => T): T => {
  try {
    return act()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Error(`${label}: ${code === undefined ? (message.split('\n')[0] as string) : `cannot be read (${code})`}`)
  }
}
