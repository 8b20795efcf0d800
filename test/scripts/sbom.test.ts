// The list of what Jobgate ships, as `npm run sbom` writes it.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../helpers/source-files.js'

interface Component {
  'bom-ref': string
  type: string
  name: string
  version: string
  purl: string
  hashes: { alg: string; content: string }[]
  licenses?: unknown[]
}
interface Bom {
  bomFormat: string
  specVersion: string
  serialNumber: string
  version: number
  metadata: { timestamp: string; component: Component }
  components: Component[]
  dependencies: { ref: string; dependsOn: string[] }[]
}
interface LockEntry {
  version: string
  dev?: boolean
  integrity: string
}

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

t.test('a CycloneDX list of every package that is shipped, with purl and hash', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'jg-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'sbom.json')
  const { status, stderr } = spawnSync(process.execPath, ['scripts/sbom.mjs', path], { cwd: root, encoding: 'utf8' })
  t.equal(status, 0, stderr)
  const bom: Bom = read(path)
  const { name, version } = read(join(root, 'package.json')) as { name: string; version: string }

  t.equal(bom.bomFormat, 'CycloneDX')
  t.match(bom.specVersion, /^1\.[5-9]$/)
  t.match(bom.serialNumber, /^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  t.equal(bom.version, 1)
  t.not(Number.isNaN(Date.parse(bom.metadata.timestamp)), true)
  t.match(bom.metadata.component, { type: 'application', name, version, purl: `pkg:npm/${name}@${version}` })

  const { packages } = read(join(root, 'package-lock.json')) as { packages: Record<string, LockEntry> }
  const shipped = Object.entries(packages).filter(([place, { dev }]) => place !== '' && !dev)
  const toHex = (integrity: string) => Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex')
  const expected = shipped.map(([place, { version, integrity }]) => {
    const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)
    return `pkg:npm/${name.replace('@', '%40')}@${version} ${toHex(integrity)}`
  })
  const listed = bom.components.map(({ purl, hashes }) => `${purl} ${hashes.find(({ alg }) => alg === 'SHA-512')?.content}`)
  t.ok(listed.length > 100)
  t.same([...new Set(listed)].sort(), [...new Set(expected)].sort())

  const refs = new Set([bom.metadata.component['bom-ref'], ...bom.components.map((each) => each['bom-ref'])])
  const named = bom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn])
  t.same(
    named.filter((ref) => !refs.has(ref)),
    [],
    'no dependency leads out of the list',
  )
})
