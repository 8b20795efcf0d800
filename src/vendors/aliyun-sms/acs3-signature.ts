// Signs requests to Aliyun by its version 3 scheme (ACS3-HMAC-SHA256).

import { createHash, createHmac } from 'node:crypto'

export interface Acs3Request {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** All headers that are signed; names in any case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly accessKeyId: string
}

/** RFC 3986: encodeURIComponent leaves five characters that Aliyun wants encoded. */
export const encodeRfc3986 = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** Sorted by name, encoded, joined: the form of a query and of a form body. */
export const toForm = (values: Readonly<Record<string, string>>): string =>
  Object.keys(values)
    .sort()
    .map((name) => `${encodeRfc3986(name)}=${encodeRfc3986(values[name] as string)}`)
    .join('&')

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The value of `Authorization`. `headers` must contain `x-acs-content-sha256` of the body. */
export const signAcs3 = ({ method, path, query, headers, body, accessKeyId }: Acs3Request, secret: string): string => {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
  const sorted = lower.sort(([one], [other]) => (one < other ? -1 : 1))
  const names = sorted.map(([name]) => name).join(';')
  const canonicalHeaders = sorted.map(([name, value]) => `${name}:${value}\n`).join('')
  const canonical = [method, path, toForm(query), canonicalHeaders, names, sha256Hex(body)].join('\n')
  const signature = createHmac('sha256', secret)
    .update(`ACS3-HMAC-SHA256\n${sha256Hex(canonical)}`)
    .digest('hex')
  return `ACS3-HMAC-SHA256 Credential=${accessKeyId},SignedHeaders=${names},Signature=${signature}`
}
