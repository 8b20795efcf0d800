// Measures parsed JSON where a schema cannot: how deep a free-form member is nested.

/** Whether objects and arrays are nested more than `depthMax` levels deep; a scalar is level 0. */
export const isTooDeepValue = (value: unknown, depthMax: number): boolean => {
  if (typeof value !== 'object' || value === null) return false
  return depthMax === 0 || Object.values(value).some((member) => isTooDeepValue(member, depthMax - 1))
}
