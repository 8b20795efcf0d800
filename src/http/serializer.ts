// How responses are serialized: by schema, each distinct schema compiled once.

import { hash } from 'node:crypto'
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'

type Serialize = (data: unknown) => string
type Compile = (route: { schema: unknown }) => Serialize

const build = SerializerSelector() as unknown as (schemas: Record<string, unknown>, options: object) => Compile

/**
 * For Fastify's `schemaController.compilersFactory.buildSerializer`, made once per server.
 * Nearly all routes share their problem documents: compiling those for each of them took a quarter of the time of a start.
 */
export const createSerializerCompilers = () => {
  const compiled = new Map<string, Serialize>()
  return (schemas: Record<string, unknown>, options: object): Compile => {
    const compile = build(schemas, options)
    // By content: elsewhere the same name may stand for another schema.
    const known = hash('sha256', JSON.stringify(schemas))
    return (route) => {
      const key = `${known} ${JSON.stringify(route.schema)}`
      const serialize = compiled.get(key) ?? compile(route)
      compiled.set(key, serialize)
      return serialize
    }
  }
}
