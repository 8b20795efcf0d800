// Waits for something, but not for ever.

/** What the promise gives, or `otherwise` when it takes longer. The promise goes on; what it rejects with after that is lost. */
export const withDeadline = <T, Otherwise = T>(promise: Promise<T>, deadlineMs: number, otherwise: Otherwise): Promise<T | Otherwise> => {
  let timer: NodeJS.Timeout
  const late = new Promise<Otherwise>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), deadlineMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
