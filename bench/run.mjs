// `npm run bench`: what the gateway does, beside what bounds it, in interleaved rounds. `npm run bench -- submit status` runs some rows.
// Rates depend on the machine and what else runs there; the ratios of one round were measured within seconds of each other.

import { availableParallelism, cpus } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureInstalled } from '../scripts/ensure-installed.mjs'
import { requireWrk } from './lab.mjs'
import { printRow, writeReport } from './report.mjs'
import * as backlog from './rows/backlog.mjs'
import * as batch from './rows/batch.mjs'
import * as beside from './rows/beside.mjs'
import * as footprint from './rows/footprint.mjs'
import * as memory from './rows/memory.mjs'
import * as ndjson from './rows/ndjson.mjs'
import * as status from './rows/status.mjs'
import * as streams from './rows/streams.mjs'
import * as submit from './rows/submit.mjs'
import * as types from './rows/types.mjs'
import * as wait from './rows/wait.mjs'
import * as workers from './rows/workers.mjs'

/** Without names all but `beside`, which wants another checkout. */
const rows = { submit, batch, ndjson, status, wait, workers, backlog, footprint, streams, memory, types, beside }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    /** Of each measurement. */
    seconds: { type: 'string', default: '4' },
    /** Of the NDJSON stream, and how many jobs wait in the backlog. */
    lines: { type: 'string', default: '1000000' },
    /** A built checkout that the row `beside` compares with. */
    other: { type: 'string' },
  },
})
const unknown = positionals.filter((name) => !(name in rows))
if (unknown.length > 0) throw new Error(`no such row: ${unknown.join(', ')}; the rows are ${Object.keys(rows).join(', ')}`)
const settings = {
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  lines: Number(values.lines),
  other: values.other && resolve(values.other),
}

requireWrk()
await ensureInstalled({ redis: true, build: true })

const about = { ...settings, cores: availableParallelism(), cpu: cpus()[0]?.model, node: process.version, at: new Date().toISOString() }
console.log(`${about.rounds} rounds of ${about.seconds} s, ${about.cores} cores, ${about.cpu}, Node ${about.node}, wrk; log level warn`)

const done = []
for (const name of positionals.length > 0 ? positionals : Object.keys(rows).filter((each) => each !== 'beside')) {
  const figures = await rows[name].run(settings)
  const row = { name, title: rows[name].title, figures }
  done.push(row)
  printRow(row)
}
console.log(`\nwritten to ${await writeReport(about, done)}`)
