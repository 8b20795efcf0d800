// What vendors sign their callbacks with in these attacks: without it the routes that take them would only answer 404.

export const larkSecrets = { encryptKey: 'attacks-lark-encrypt-key', verificationToken: 'attacks-lark-verification-token' }
export const tencentSecrets = { token: 'attacks-tencent-token', encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG' }

/** The same as settings of the gateway. */
export const vendorSettings = {
  LARK_ENCRYPT_KEY: larkSecrets.encryptKey,
  LARK_VERIFICATION_TOKEN: larkSecrets.verificationToken,
  TENCENT_MEETING_WEBHOOK_TOKEN: tencentSecrets.token,
  TENCENT_MEETING_ENCODING_AES_KEY: tencentSecrets.encodingAesKey,
}
