// Holds the manifests for Kubernetes and the units for systemd to their schemas and to what the processes need.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { allVariables } from '../../src/builtin/config.js'
import { Environment } from '../../src/config/environment.js'
import { type Manifest, manifestFaults } from '../helpers/kubernetes-schema.js'
import { root } from '../helpers/source-files.js'

interface Probe {
  httpGet: { path: string; port: string }
}
interface Container {
  image: string
  args: string[]
  ports: { name: string; containerPort: number }[]
  env: { name: string; value: string }[]
  livenessProbe: Probe
  readinessProbe?: Probe
  startupProbe: Probe
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  securityContext: object
}
interface Deployment extends Manifest {
  spec: {
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        terminationGracePeriodSeconds: number
        enableServiceLinks: boolean
        automountServiceAccountToken: boolean
        securityContext: object
        containers: [Container]
        volumes: { name: string; secret?: { secretName: string; items?: { key: string; path: string }[] }; emptyDir?: object }[]
      }
    }
  }
}

const folder = (name: string) => join(root, 'ops/kubernetes', name)
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const manifestsOf = (name: string): Manifest[] =>
  readdirSync(folder(name))
    .filter((file) => file !== 'kustomization.yaml')
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder(name), file), 'utf8')).map((document) => document.toJS() as Manifest))

const base = manifestsOf('base')
const all = [...base, ...manifestsOf('keda')]
const find = <T extends Manifest>(kind: string, name: string): T => {
  const found = all.find((each) => each.kind === kind && each.metadata.name === name)
  if (!found) throw new Error(`no ${kind} ${name}`)
  return found as T
}
const deployments = { gateway: find<Deployment>('Deployment', 'jobgate-gateway'), worker: find<Deployment>('Deployment', 'jobgate-worker') }

const seconds = (name: 'SHUTDOWN_DRAIN_MS' | 'SHUTDOWN_GRACE_MS') => Environment.properties[name].default / 1000
/** What the commands add to drain and grace before they force their own end. */
const marginSeconds = 15
const stopSeconds = {
  gateway: seconds('SHUTDOWN_DRAIN_MS') + seconds('SHUTDOWN_GRACE_MS') + marginSeconds,
  worker: seconds('SHUTDOWN_GRACE_MS') + marginSeconds,
}
const roles = ['gateway', 'worker'] as const

t.test('Kubernetes would take every manifest', async (t) => {
  t.ok(all.length > 8)
  for (const manifest of all) t.same(await manifestFaults(manifest), [], `${manifest.kind} ${manifest.metadata.name}`)

  const broken = structuredClone(deployments.worker) as unknown as {
    spec: { replicas: unknown; template: { spec: Record<string, unknown> } }
  }
  broken.spec.replicas = '2'
  broken.spec.template.spec['terminationGracePeriod'] = 60
  t.same(
    await manifestFaults(broken as unknown as Manifest),
    ['/spec/replicas type {"type":"integer"}', '/spec/template/spec/terminationGracePeriod is unknown'],
    'the check sees a wrong type and an unknown field',
  )
})

t.test('the kustomizations name every file but the example', async (t) => {
  for (const name of ['base', 'keda']) {
    const { resources } = parse(read(`ops/kubernetes/${name}/kustomization.yaml`)) as { resources: string[] }
    const files = readdirSync(folder(name)).filter((file) => !/^kustomization\.|\.example\./.test(file))
    t.same(resources.filter((file) => file !== '../base').sort(), files.sort(), name)
  }
  const { images } = parse(read('ops/kubernetes/base/kustomization.yaml')) as { images: { name: string; newTag: string }[] }
  const { version } = JSON.parse(read('package.json')) as { version: string }
  t.match(images, [{ name: 'jobgate', newTag: version }], 'the image of this version')
})

t.test('pods: few rights, time to stop, probes that the process answers', async (t) => {
  const ports = { gateway: ['http', Environment.properties.PORT.default], worker: ['metrics', 9464] } as const
  for (const role of roles) {
    const { spec } = deployments[role].spec.template
    const [container] = spec.containers
    t.match(spec, { enableServiceLinks: false, automountServiceAccountToken: false })
    t.match(spec.securityContext, { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } })
    t.same(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    t.ok(spec.terminationGracePeriodSeconds > stopSeconds[role], `${role}: longer than ${stopSeconds[role]} s`)
    t.same(container.args, [role === 'gateway' ? 'serve' : 'worker'])
    const [name, containerPort] = ports[role]
    t.same(container.ports, [{ name, containerPort }])
    t.match(container.livenessProbe, { httpGet: { path: '/livez', port: name } })
    t.match(container.startupProbe, { httpGet: { path: '/livez', port: name } })
    t.ok(container.resources.requests['memory'] && container.resources.limits['memory'])
  }
  t.match(deployments.gateway.spec.template.spec.containers[0].readinessProbe, { httpGet: { path: '/readyz', port: 'http' } })
  t.ok(
    deployments.worker.spec.template.spec.containers[0].env.some(({ name, value }) => name === 'WORKER_METRICS_PORT' && value === '9464'),
  )
})

t.test('selectors find the pods', async (t) => {
  for (const role of roles) {
    const { labels } = deployments[role].spec.template.metadata
    t.same(deployments[role].spec.selector.matchLabels, labels)
    for (const kind of ['PodDisruptionBudget', 'NetworkPolicy']) {
      const { spec } = find<Manifest & { spec: { selector?: { matchLabels: object }; podSelector?: { matchLabels: object } } }>(
        kind,
        `jobgate-${role}`,
      )
      t.same((spec.selector ?? spec.podSelector)?.matchLabels, labels, `${kind} ${role}`)
    }
  }
  const { spec } = find<Manifest & { spec: { selector: object; ports: { targetPort: string }[] } }>('Service', 'jobgate')
  t.same(spec.selector, deployments.gateway.spec.template.metadata.labels)
  t.same(
    spec.ports.map(({ targetPort }) => targetPort),
    ['http'],
  )
  t.match(find('ScaledObject', 'jobgate-worker'), { spec: { scaleTargetRef: { name: 'jobgate-worker' } } })
})

t.test('variables are ours, and every secret that is read is in the example and in the volume', async (t) => {
  const secret = find<Manifest & { stringData: Record<string, string> }>('Secret', 'jobgate').stringData
  const { data } = find<Manifest & { data: Record<string, string> }>('ConfigMap', 'jobgate')
  const known = new Set(Object.keys(allVariables))
  const unknown = (names: string[]) => names.filter((name) => !known.has(name.replace(/_FILE$/, '')))
  t.same(unknown([...Object.keys(data), ...Object.keys(secret)]), [])
  t.same(Object.values(secret).filter(Boolean), [], 'no value that somebody could leave as it is')
  for (const role of roles) {
    const { containers, volumes } = deployments[role].spec.template.spec
    const { env } = containers[0]
    t.same(unknown(env.map(({ name }) => name)), [])
    const volume = volumes.find(({ name }) => name === 'secrets')?.secret
    t.equal(volume?.secretName, 'jobgate')
    const mounted = volume?.items?.map(({ key }) => key) ?? Object.keys(secret)
    for (const { name, value } of env.filter(({ name }) => name.endsWith('_FILE'))) {
      const key = name.replace(/_FILE$/, '')
      t.equal(value, `/run/secrets/jobgate/${key}`)
      t.ok(mounted.includes(key) && key in secret, `${role} finds ${key}`)
    }
  }
})

/** Settings by name, of the last value; sections do not repeat names here. */
const unitOf = (name: string): Map<string, string> =>
  new Map(Array.from(read(`ops/systemd/${name}`).matchAll(/^([A-Za-z]+)=(.*)$/gm), ([, key = '', value = '']) => [key, value]))

const units = { gateway: 'jobgate.service', worker: 'jobgate-worker.service' } as const
/** What protects a machine from the process. */
const hardened = {
  DynamicUser: 'yes',
  NoNewPrivileges: 'yes',
  CapabilityBoundingSet: '',
  ProtectSystem: 'strict',
  ProtectHome: 'yes',
  ProtectKernelTunables: 'yes',
  ProtectKernelModules: 'yes',
  ProtectControlGroups: 'yes',
  PrivateDevices: 'yes',
  PrivateTmp: 'yes',
  RestrictAddressFamilies: 'AF_INET AF_INET6 AF_UNIX',
  RestrictNamespaces: 'yes',
  SystemCallArchitectures: 'native',
}

t.test('units: hardened, restarted, time to stop', async (t) => {
  for (const role of roles) {
    const unit = unitOf(units[role])
    for (const [name, value] of Object.entries(hardened)) t.equal(unit.get(name), value, `${role}: ${name}`)
    t.equal(unit.get('Restart'), 'on-failure')
    t.equal(unit.get('KillMode'), 'mixed')
    t.equal(unit.get('EnvironmentFile'), '/etc/jobgate/jobgate.env')
    t.ok(Number(unit.get('TimeoutStopSec')) > stopSeconds[role], `${role}: longer than ${stopSeconds[role]} s`)
    t.equal(unit.get('ExecStart'), `/usr/bin/node /opt/jobgate/dist/main.js ${role === 'gateway' ? 'serve' : 'worker'}`)
    t.notOk(unit.has('MemoryDenyWriteExecute'), 'V8 would not start')
  }
})

const analyze = spawnSync('systemd-analyze', ['--version']).error === undefined
t.test('systemd takes the units', { skip: !analyze && 'systemd-analyze is not installed' }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'jg-units-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  for (const name of Object.values(units)) {
    // The programs are looked for: ours stands elsewhere here.
    writeFileSync(
      join(directory, name),
      read(`ops/systemd/${name}`).replace('/usr/bin/node', process.execPath).replaceAll('/opt/jobgate', root),
    )
    const verified = spawnSync('systemd-analyze', ['verify', join(directory, name)], { encoding: 'utf8' })
    t.equal(verified.status, 0, verified.stderr)
    t.notMatch(verified.stderr, new RegExp(`${name}:\\d+:`), 'no warning')
    const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', join(directory, name)], {
      encoding: 'utf8',
    })
    t.equal(security.status, 0, security.stdout)
  }
})
