// Signs requests to Tencent Meeting.

import { createHmac } from 'node:crypto'

/** What is signed: the bytes that go out, nothing else. `timestamp` is in Unix seconds, `nonce` a decimal number as text. */
export interface SignedParts {
  readonly method: string
  /** Path and query exactly as sent. */
  readonly uri: string
  readonly body: string
  readonly secretId: string
  readonly nonce: string
  readonly timestamp: string
}

/** The value of `X-TC-Signature`: base64 of the hex text, not of the bytes, of the HMAC-SHA256. */
export const signTencentRequest = ({ method, uri, body, secretId, nonce, timestamp }: SignedParts, secretKey: string): string => {
  const text = [method, `X-TC-Key=${secretId}&X-TC-Nonce=${nonce}&X-TC-Timestamp=${timestamp}`, uri, body].join('\n')
  return Buffer.from(createHmac('sha256', secretKey).update(text).digest('hex')).toString('base64')
}
