// Reads what vendors send member by member, trusting none of it to have a type.

/** The value as an object, or an empty one: vendors' answers are read member by member. */
export const toObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

/** A vendor's id as text: some send numbers. */
export const toText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined
