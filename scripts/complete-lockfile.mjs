// Adds to package-lock.json the optional packages of other platforms that npm left out, and the hash of every package without one.
// npm drops packages when it cannot or need not fetch them, and `npm ci` then refuses the lockfile, here and everywhere else.
// Run after every change of dependencies; `--check` only tells.

import { spawnSync } from 'node:child_process'
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

/** The places of packages whose content is not pinned by a strong hash. */
export const unhashed = (lock) =>
  Object.entries(lock.packages).flatMap(([place, { integrity, link }]) =>
    place === '' || link || /^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '') ? [] : [place],
  )

/** What the registry says of one package. Throws when it says nothing. */
const askForHash = (place, { name, version }) => {
  const wanted = `${name ?? place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`
  const { stdout, stderr } = spawnSync('npm', ['view', wanted, 'dist.integrity'], { encoding: 'utf8' })
  const integrity = stdout?.trim()
  if (!integrity?.startsWith('sha512-')) throw new Error(`the registry knows no SHA-512 of ${wanted}: ${stderr}`)
  return integrity
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  const packages = { ...lock.packages, ...missingEntries(lock) }
  const incomplete = unhashed({ packages })
  for (const place of incomplete) console.log(`${place in lock.packages ? 'without a hash' : 'missing'}: ${place}`)
  if (incomplete.length > 0 && process.argv.includes('--check')) process.exitCode = 1
  else if (incomplete.length > 0) {
    for (const place of incomplete) {
      const { version, ...rest } = packages[place]
      // In npm's order of members.
      packages[place] = { version, integrity: askForHash(place, packages[place]), ...rest }
    }
    const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
    writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
  }
}
