// Data that comes in several forms, told apart by one member: a schema that validators, documents and types all understand.

import { type Static, type TObject, Type } from '@sinclair/typebox'

/**
 * One of several closed objects; each has the member `tag` with one value of its own.
 * Not TypeBox's Union: that emits `anyOf`, which Ajv's discriminator refuses.
 */
export const TaggedUnion = <T extends TObject[]>(tag: string, branches: [...T], description: string) =>
  Type.Unsafe<Static<T[number]>>({
    type: 'object',
    required: [tag],
    discriminator: { propertyName: tag },
    oneOf: branches,
    description,
  })
