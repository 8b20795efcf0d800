// The schema that the bare and the minimal server check: as strict as the gateway's for the same body.

export const body = {
  type: 'object',
  required: ['type', 'data'],
  additionalProperties: false,
  properties: {
    type: { type: 'string', enum: ['send-verification-email'] },
    data: {
      type: 'object',
      required: ['to', 'verificationCode'],
      additionalProperties: false,
      properties: {
        to: { type: 'string', maxLength: 254, pattern: '^[^@\\s]+@[^@\\s]+$' },
        verificationCode: { type: 'string', pattern: '^[A-Za-z0-9-]{4,64}$' },
      },
    },
    userId: { type: 'string', minLength: 1, maxLength: 128 },
  },
}
