// Adds to package-lock.json the optional packages of other platforms that npm left out.
// npm drops them when it cannot or need not fetch them, and `npm ci` then refuses the lockfile, here and everywhere else.
// Run after every change of dependencies; `--check` only tells.

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/
const systems = /-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)\b/
const processors = /-(arm64|armv7|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|wasm32|x64)\b/

/** What a platform package's name says about where it runs: npm skips it elsewhere without fetching it. */
const toPlatform = (name) => {
  const os = systems.exec(name)?.[1]
  const cpu = processors.exec(name)?.[1]
  const libc = os !== 'linux' ? undefined : /musl/.test(name) ? 'musl' : /gnu/.test(name) ? 'glibc' : undefined
  return { ...(cpu && { cpu: [cpu === 'armv7' ? 'arm' : cpu] }), ...(libc && { libc: [libc] }), ...(os && { os: [os] }) }
}

/** The entries that a lockfile lacks, by their place in it; `lock` is its parsed content. */
export const missingEntries = (lock) => {
  const missing = {}
  for (const [place, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const known = Object.keys(lock.packages).some((each) => each === `node_modules/${name}` || each === `${place}/node_modules/${name}`)
      // Only an exact version can be written down without asking the registry.
      if (known || !exact.test(version)) continue
      missing[`node_modules/${name}`] = { version, ...toPlatform(name), ...(entry.dev && { dev: true }), optional: true }
    }
  }
  return missing
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  const missing = missingEntries(lock)
  const names = Object.keys(missing)
  for (const name of names) console.log(`missing: ${name}`)
  if (names.length > 0 && process.argv.includes('--check')) process.exitCode = 1
  else if (names.length > 0) {
    const sorted = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : 1))
    writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
  }
}
