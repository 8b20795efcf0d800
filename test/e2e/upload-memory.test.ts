// Uploads take the memory of some parts, not of whole recordings. `npm run test:conformance -- uploads` runs 200 of them.

import t from 'tap'
import { ensureInstalled } from '../../scripts/ensure-installed.mjs'
import { startObjectStore } from '../helpers/object-store.js'
import { runUploads } from '../helpers/upload-run.js'

const mebibyte = 1_048_576
const partBytes = 5 * mebibyte
const atOnce = 2
const sizeBytes = 150_000_000

t.test('a worker holds a few parts of what it uploads', async (t) => {
  await ensureInstalled({ build: true })
  const store = await startObjectStore(t)
  const { uploads, memory } = await runUploads(t, { store: store.settings, count: atOnce, sizeBytes, atOnce, partBytes })
  for (const { key, sha256, job } of uploads) {
    t.match(job, { state: 'completed', result: { key, sizeBytes, sha256, alreadyPresent: false } })
  }
  const grownBytes = memory.peak - memory.before
  t.comment(`${Math.round(memory.before / mebibyte)} MiB idle, ${Math.round(memory.peak / mebibyte)} MiB at the peak`)
  t.ok(grownBytes < (atOnce * sizeBytes * 2) / 3, `${grownBytes} bytes for ${atOnce * sizeBytes}`)
})
