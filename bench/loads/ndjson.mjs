// One NDJSON stream of keyed submissions. Arguments: address, lines. Prints jobs a second, from first byte to last answer.

import { request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { adminKey, toSubmission } from '../lab.mjs'

const [address, count] = process.argv.slice(2)
const lines = Number(count)
const linesPerChunk = 500
const seed = `${process.pid}-${Date.now()}`
const [head, tail] = JSON.stringify(toSubmission('SEED')).split('SEED')

function* chunks() {
  for (let line = 0; line < lines; ) {
    let text = ''
    for (const end = Math.min(line + linesPerChunk, lines); line < end; line++) text += `${head}${seed}-${line}${tail}\n`
    yield text
  }
}

const started = performance.now()
const call = request(`${address}/v1/jobs/batch`, {
  method: 'POST',
  headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-ndjson' },
})
const answered = new Promise((resolve, reject) => {
  call.on('error', reject)
  call.on('response', async (response) => {
    let accepted = 0
    let rest = ''
    for await (const chunk of response.setEncoding('utf8')) {
      const text = rest + chunk
      const whole = text.lastIndexOf('\n') + 1
      for (let at = text.indexOf('"status":202'); at >= 0 && at < whole; at = text.indexOf('"status":202', at + 1)) accepted++
      rest = text.slice(whole)
    }
    if (accepted === lines) resolve()
    else reject(new Error(`${accepted} of ${lines} lines were accepted; status ${response.statusCode}`))
  })
})
await Promise.all([pipeline(Readable.from(chunks()), call), answered])
process.stdout.write(JSON.stringify({ rate: (lines / (performance.now() - started)) * 1000 }))
