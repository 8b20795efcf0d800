// Encrypts events the way vendors do.

import { createCipheriv, createHash, randomBytes } from 'node:crypto'

/** Base64 of IV and AES-256-CBC text, as Lark sends it in `encrypt`. */
export const encryptLark = (encryptKey: string, text: string): string => {
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-256-cbc', createHash('sha256').update(encryptKey).digest(), iv)
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final()]).toString('base64')
}

/** Base64 of the AES-256-CBC text, as Tencent Meeting sends it in `data`; without a key, of the text itself. */
export const encryptTencent = (encodingAesKey: string | undefined, text: string): string => {
  if (encodingAesKey === undefined) return Buffer.from(text).toString('base64')
  const key = Buffer.from(`${encodingAesKey}=`, 'base64')
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16))
  return Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]).toString('base64')
}
