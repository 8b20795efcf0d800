// Which host a request names: exactly one, written as a host can be (RFC 9112, section 3.2).

import type { IncomingMessage } from 'node:http'

/** RFC 3986, section 3.2.2: an address in brackets, or a name that may be empty; then perhaps a port. */
const form = /^(?:\[[A-Za-z0-9:.%_~-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d*)?$/

/** The host that was named last and is valid: nearly all requests name the same. */
let known = ''

/** What is wrong with the Host of a request, in words for its sender; null when nothing is. */
export const findHostFault = ({ headers, rawHeaders, httpVersion }: IncomingMessage): string | null => {
  const { host } = headers
  if (host === undefined) return httpVersion === '1.1' ? 'HTTP/1.1 requests require a Host header.' : null
  if (host !== known) {
    if (!form.test(host)) return 'The Host header is not a valid host.'
    known = host
  }
  // Node keeps the first of several.
  return countHosts(rawHeaders) > 1 ? 'A request can have only one Host header.' : null
}

const countHosts = (rawHeaders: readonly string[]): number => {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}
