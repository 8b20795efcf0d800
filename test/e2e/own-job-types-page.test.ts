// Carries out docs/own-job-types.md, from an empty folder on: its files are written, its commands run, its responses compared.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { childEnvironment } from '../helpers/child-environment.js'
import { eventually } from '../helpers/eventually.js'
import { root } from '../helpers/source-files.js'

const page = readFileSync(join(root, 'docs/own-job-types.md'), 'utf8')
const readyDeadlineMs = 120_000

/** What the page has its reader do, in order. */
type Step =
  | { readonly kind: 'save'; readonly file: string; readonly content: string }
  | { readonly kind: 'run' | 'start'; readonly script: string }
  /** The response of the command before; it may have more members than are shown. */
  | { readonly kind: 'see'; readonly response: unknown }

const readSteps = (): Step[] => {
  // What stands between the two walks is read, not carried out.
  const walk = `${page.slice(0, page.indexOf('\n## What a module contains'))}${page.slice(page.indexOf('\n## Over HTTP'))}`
  return Array.from(walk.matchAll(/^```(\w+)\n(.*?)^```$/gms), ({ index, 1: language, 2: content = '' }): Step => {
    const [, file] = /Save (?:this|its definition) as `([^`]+)`:\n\n$/.exec(walk.slice(0, index)) ?? []
    if (file !== undefined) return { kind: 'save', file, content }
    if (language === 'json') return { kind: 'see', response: JSON.parse(content) }
    return { kind: content.includes('run dev') ? 'start' : 'run', script: content }
  })
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** The reader's terminals: `cd` in one block holds for those that follow. */
const openTerminals = async (t: Test) => {
  const home = mkdtempSync(join(tmpdir(), 'jg-'))
  const port = await freePort()
  const cwdFile = join(home, 'cwd')
  let folder = home
  /** As the page has it, but for where the checkout is and which port is free. */
  const here = (content: string) =>
    content
      .replaceAll('~/jobgate', root.replace(/\/$/, ''))
      .replaceAll('../jobgate/', root)
      .replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)
  const open = (script: string) =>
    spawn('bash', ['-euc', `${here(script)}\npwd >${cwdFile}`], {
      cwd: folder,
      env: { ...childEnvironment(), PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
  t.after(() => rm(home, { recursive: true, force: true, maxRetries: 20 }))

  return {
    url: `http://127.0.0.1:${port}`,
    /** What the commands of a block print. Rejects when one fails. */
    run: async (script: string): Promise<string> => {
      const child = open(script)
      const exited = once(child, 'close')
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
      const [status] = await exited
      if (status !== 0) throw new Error(`status ${status}: ${script}\n${out}${err}`)
      folder = readFileSync(cwdFile, 'utf8').trim()
      return out
    },
    /** A command that goes on until the test ends. */
    start: (script: string): void => {
      const child = open(script)
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => {
          output += String(chunk)
        })
      const closed = once(child, 'close')
      t.after(async () => {
        process.kill(-(child.pid as number), 'SIGTERM')
        await closed
        if (!t.passing()) t.comment(output.slice(-4000))
      })
    },
    save: async (file: string, content: string) => {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), here(content))
    },
    key: () => readFileSync(join(folder, 'data/admin-api-key'), 'utf8').trim(),
  }
}

t.test('docs/own-job-types.md, carried out', async (t) => {
  const steps = readSteps()
  t.same(
    steps.map(({ kind }) => kind),
    [
      ...['run', 'save', 'start', 'run', 'see', 'run', 'see', 'save', 'run', 'see', 'save', 'run'],
      ...['save', 'run', 'see', 'run', 'see', 'run', 'see', 'run', 'see', 'run', 'see', 'run', 'run', 'see'],
    ],
    'the steps of the page',
  )
  const { url, run, save, start, key } = await openTerminals(t)
  const knows = async (type: string): Promise<boolean> => {
    const answer = await fetch(`${url}/v1/job-types/${type}`, { headers: { authorization: `Bearer ${key()}` } })
    return answer.ok && ((await answer.json()) as { available: boolean }).available
  }
  /** Jobgate runs the type of the module that was saved last. */
  const untilRun = async (source: string): Promise<void> => {
    const [, name = ''] = /^ {2}name: '(.*)',$/m.exec(source) ?? []
    await eventually(`${name} is run`, () => knows(name).catch(() => false), readyDeadlineMs)
  }

  let isStarted = false
  let output = ''
  let module = ''
  for (const step of steps) {
    switch (step.kind) {
      case 'save':
        await save(step.file, step.content)
        if (step.file.startsWith('types/')) module = step.content
        if (isStarted && step.content === module) await untilRun(module)
        break
      case 'start':
        start(step.script)
        isStarted = true
        await untilRun(module)
        break
      case 'run':
        output = await run(step.script)
        t.pass(step.script.split('\n')[0] as string)
        break
      case 'see':
        t.match(JSON.parse(output), step.response as object)
    }
  }
})
