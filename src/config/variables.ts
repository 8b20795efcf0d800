// Building blocks of variables: each with its default, its bounds and one line on what it does.

import { Type } from '@sinclair/typebox'

/** true or false. */
export const flag = (value: boolean, description: string) => Type.Boolean({ default: value, description })
/** A whole number. */
export const count = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description })
/** Text without a default. */
export const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
/** Text with a default. */
export const textOr = (value: string, description: string) => Type.String({ default: value, minLength: 1, description })
/** One of some words. */
export const choice = <const T extends readonly string[]>(value: T[number], values: T, description: string) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], default: value, description })
/** A comma-separated list. */
export const list = (description: string) => Type.Unsafe<string[]>({ type: 'string', separator: ',', default: '', description })

/** A comma-separated list with a default. */
export const listOr = (value: string, description: string) =>
  Type.Unsafe<string[]>({ type: 'string', separator: ',', default: value, description })
