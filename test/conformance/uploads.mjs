// Uploads 200 recordings of 5 MB, eight at once, to OpenStack Swift: every checksum, and what memory the worker takes.
//
//   npm run test:conformance -- uploads             needs what `swift` needs
//   npm run test:conformance -- uploads --count=20  fewer

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { runUploads } from '../helpers/upload-run.ts'
import { hasSwift, withSwift } from './swift-server.mjs'

const atOnce = 8
const sizeBytes = 5_000_000
/** The default; the documentation of UPLOAD_PART_BYTES says how many of them an upload holds. */
const partBytes = 8_388_608
const partsHeld = 3
/** A quarter's peak may exceed that of the one before by what the collector happens to leave lying. */
const growthMax = 1.25

const { values } = parseArgs({ options: { count: { type: 'string', default: '200' }, install: { type: 'boolean' } } })
const count = Number(values.count)
const inMiB = (bytes) => `${Math.round(bytes / 1_048_576)} MiB`

const closers = []
const scope = { after: (close) => closers.unshift(close) }

const check = async (store, client) => {
  const { uploads, memory, tookMs } = await runUploads(scope, { store, count, sizeBytes, atOnce })
  for (const { key, sha256, job } of uploads) {
    assert.equal(job.state, 'completed', `${key}: ${JSON.stringify(job.error)}`)
    const { sizeBytes: size, sha256: told, alreadyPresent } = job.result
    assert.deepEqual({ key: job.result.key, size, told, alreadyPresent }, { key, size: sizeBytes, told: sha256, alreadyPresent: false })
    const { Body } = await client.send(new GetObjectCommand({ Bucket: store.bucket, Key: key }))
    const hash = createHash('sha256')
    for await (const chunk of Body) hash.update(chunk)
    assert.equal(hash.digest('hex'), sha256, `${key} as Swift has it`)
  }
  console.log(
    `ok 1 - ${count} uploads of ${sizeBytes} bytes, ${atOnce} at once, in ${(tookMs / 1000).toFixed(1)} s: every checksum is right`,
  )

  const { before, peak, quarters } = memory
  const told = `${inMiB(before)} idle, ${inMiB(peak)} at its peak, by quarters ${quarters.map(inMiB).join(', ')}`
  console.log(`# resident memory of the worker: ${told}`)
  const bound = atOnce * partsHeld * partBytes
  assert.ok(peak - before <= bound, `more than ${inMiB(bound)} beyond the idle worker`)
  assert.ok(quarters[3] <= Math.max(...quarters.slice(0, 2)) * growthMax, 'it grows with the number of uploads')
  console.log(`ok 2 - the worker stays within ${inMiB(bound)} of its idle size and does not grow`)
  console.log('1..2')
}

if (!hasSwift()) process.exit(1)
try {
  await withSwift(check)
} finally {
  for (const close of closers) await close()
}
