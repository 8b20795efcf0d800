// The environment of processes that tests start from TypeScript sources.

/**
 * This process's environment without what tap tells its own children, and without coverage: tsx and tap compile the same source
 * to different text, and merging what was counted in both would lose most of it.
 */
export const childEnvironment = (): Record<string, string | undefined> => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:NODE_OPTIONS|NODE_V8_COVERAGE|_?TAP.*)$/.test(name))),
  // tap puts its loader into every process it sees being started, whatever the environment.
  _TAPJS_PROCESSINFO_COVERAGE_: '0',
})
