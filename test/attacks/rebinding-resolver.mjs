// Preloaded into a worker: a resolver of the attacker's. Names below `rebind.example` resolve to what their first label says.

import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

/** Public, and routed nowhere: the former 6bone. */
const nowhere = '3ffe::1'
const real = dns.lookup
const counts = new Map()

const answers = {
  private: () => ['127.0.0.1'],
  mapped: () => ['::ffff:127.0.0.1'],
  loopback6: () => ['::1'],
  zero: () => ['0.0.0.0'],
  metadata: () => ['169.254.169.254'],
  mixed: () => [nowhere, '127.0.0.1'],
  absent: () => [],
  // Public for whoever checks, private for whoever connects.
  turns: (count) => [count === 0 ? nowhere : '127.0.0.1'],
}

dns.lookup = (name, options, callback) => {
  const [label] = name.split('.')
  if (!name.endsWith('.rebind.example')) return real(name, options, callback)
  const count = counts.get(name) ?? 0
  counts.set(name, count + 1)
  const found = answers[label](count).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const missing = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
  if (found.length === 0) return setImmediate(() => callback(missing))
  return setImmediate(() => (options.all ? callback(null, found) : callback(null, found[0].address, found[0].family)))
}
syncBuiltinESMExports()
