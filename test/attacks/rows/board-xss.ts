// Scripts in jobs, names and addresses: every page that shows them comes with a policy, and none contains them as markup.

import { cookie, login, signIn } from '../board.js'
import type { Answer } from '../client.js'
import type { Attack, Row } from '../row.js'
import { plainJob, submitAndFinish } from '../submit.js'
import { writableBoard } from './board-csrf.js'

const script = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
const quoted = encodeURIComponent(script)
const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

/** What a page may load. */
const isStrict = (policy: string): boolean =>
  /default-src 'none'/.test(policy) && !/unsafe-|(?:^|[\s;])(?:https?:|\*|blob:)/.test(policy) && /frame-ancestors 'none'/.test(policy)

const judge = ({ check, tried }: Attack, path: string, { status, headers, text }: Answer) => {
  tried()
  const type = String(headers['content-type'] ?? '')
  const what = `${path.slice(0, 80)} (${status}, ${type})`
  check(`${what}: a server error`, status < 500)
  if (text === '') return
  check(`${what}: without nosniff`, headers['x-content-type-options'] === 'nosniff')
  if (!/html|svg|xml/.test(type))
    return check(
      `${what}: a type that browsers make a page of`,
      /json|text\/(?:plain|css|javascript)|javascript|yaml|font|image|event-stream/.test(type),
    )
  check(`${what}: contains the script`, !/<script>alert|onerror=alert/.test(text))
  check(`${what}: a weak policy, ${headers['content-security-policy']}`, isStrict(String(headers['content-security-policy'] ?? '')))
}

export const boardXss: Row = {
  id: 'board-xss',
  title: 'Scripts in jobs, keys, templates and addresses, on every page',
  quick: true,
  gateway: writableBoard,
  async run(attack) {
    const { client, world } = attack
    const { admin, red } = world.keys
    const data = { source: 'other', eventId: script, eventType: script, payload: { [script.slice(0, 60)]: script } }
    const job = await submitAndFinish(attack, red.all, { ...plainJob('x'), data, userId: script, metadata: { text: script } })
    await client.send({ method: 'POST', path: '/admin/api-keys', key: admin, body: { name: script, scopes: ['jobs:read'] } })
    const token = await signIn(client, admin)
    const pages = [
      '/',
      '/docs',
      '/docs/',
      '/docs/static/index.css',
      '/docs/static/swagger-ui-bundle.js',
      '/openapi.json',
      '/openapi.yaml',
      '/problems',
      '/problems/not-found',
      '/livez',
      '/readyz',
      '/metrics',
      '/admin/board',
      '/admin/board/',
      '/admin/board/queue/external-api',
      `/admin/board/queue/external-api/${job.id}`,
      '/admin/board/logout',
      '/admin/board/api/queues',
      `/admin/board/api/queues?activeQueue=external-api&status=latest&page=1&jobsPerPage=20`,
      `/admin/board/api/queues/external-api/${job.id}`,
      `/admin/board/api/queues/external-api/${job.id}/logs`,
      `/admin/board/queue/${quoted}`,
      `/admin/board/${quoted}`,
      `/admin/board/api/queues?activeQueue=${quoted}`,
      `/admin/board/api/queues/external-api/${quoted}`,
      `/admin/board/login?to=${quoted}`,
      `/problems/${quoted}`,
      `/docs/${quoted}`,
      `/docs?url=javascript:alert(1)&configUrl=${quoted}`,
      `/${quoted}`,
      `/${quoted}?${quoted}`,
    ]
    for (const path of pages) judge(attack, path, await client.send({ path, headers: { ...browser, ...cookie(token) } }))
    const asked = [
      '/v1/jobs',
      `/v1/jobs/${job.id}`,
      `/v1/jobs/${job.id}/logs`,
      `/v1/jobs/${quoted}`,
      `/v1/jobs?type=${quoted}`,
      '/admin/api-keys',
      '/admin/audit',
      `/admin/queues/external-api/jobs/${job.id}`,
      `/admin/queues/${quoted}/health`,
      '/admin/email-templates',
      '/admin/email-templates/verification',
    ]
    for (const path of asked)
      judge(attack, path, await client.send({ path, headers: browser, key: path.startsWith('/v1') ? red.all : admin }))
    judge(attack, 'a login that fails', await login(client, script))
    judge(attack, 'a login that leads elsewhere', await login(client, 'jg_wrong', undefined, script))
    return `${pages.length + asked.length + 2} pages and documents`
  },
}
