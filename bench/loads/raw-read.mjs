// The least that Redis must be asked to answer a status read: the fields of the job. Arguments: socket, file of keys, how many at
// once, seconds. Prints reads a second.

import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'

const [path, keyFile, concurrency, seconds] = process.argv.slice(2)
const keys = readFileSync(keyFile, 'utf8').trim().split('\n')
const redis = new Redis(path, { maxRetriesPerRequest: null })
const fields = [
  'name',
  'data',
  'opts',
  'timestamp',
  'priority',
  'progress',
  'atm',
  'processedOn',
  'finishedOn',
  'returnvalue',
  'failedReason',
]
let read = 0
const started = performance.now()
const end = started + Number(seconds) * 1000
const reader = async () => {
  for (; performance.now() < end; read++) await redis.hmget(keys[read % keys.length], ...fields)
}
await Promise.all(Array.from({ length: Number(concurrency) }, reader))
process.stdout.write(JSON.stringify({ rate: (read / (performance.now() - started)) * 1000 }))
redis.disconnect()
