// Runs the examples of docs/clients as they stand against a running gateway.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import t from 'tap'
import { startSmtpReceiver } from '../helpers/smtp-receiver.js'
import { root } from '../helpers/source-files.js'
import { startGateway } from '../helpers/start-gateway.js'

const examples = [
  { needs: 'curl', command: ['sh', 'docs/clients/submit-and-wait.sh'] },
  { needs: 'python3', command: ['python3', 'docs/clients/submit_and_wait.py'] },
  { needs: 'node', command: [process.execPath, 'docs/clients/submit-and-wait.mjs'] },
]

const run = async ([file, ...args]: string[], env: Record<string, string>) => {
  const child = spawn(file as string, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  const [out, err, [status]] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, err, status }
}

/** A proxy that loses the answer to the first submission, after the gateway has given it. */
const startLossyProxy = async (target: string) => {
  const keys: unknown[] = []
  const pass = async (req: IncomingMessage, res: ServerResponse) => {
    const body = await buffer(req)
    const upstream = request(target + req.url, { method: req.method, headers: req.headers }).end(body)
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
    const answered = await buffer(answer)
    if (req.method === 'POST' && keys.push(req.headers['idempotency-key']) === 1) req.socket.destroy()
    else res.writeHead(answer.statusCode ?? 500, answer.headers).end(answered)
  }
  const server = createServer((req, res) => {
    pass(req, res).catch(() => res.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys, close }
}

t.test('client examples', async (t) => {
  const mail = await startSmtpReceiver()
  t.after(() => mail.close())
  const gateway = await startGateway({ SMTP_URL: mail.url, WORKERS_ENABLED: 'true' })
  t.after(() => gateway.close())

  for (const { needs, command } of examples) {
    const missing = spawnSync(needs, ['--version']).error !== undefined
    t.test(needs, { skip: missing && `${needs} is not installed` }, async (t) => {
      const proxy = await startLossyProxy(gateway.url)
      t.after(() => proxy.close())
      const before = mail.received.length
      const { out, err, status } = await run(command, { JOBGATE_URL: proxy.url, JOBGATE_KEY: gateway.key })
      t.equal(status, 0, err)
      t.match(out, /^accepted \S+\ncompleted\n$/)
      t.equal(proxy.keys.length, 2, 'sent again after the lost answer')
      t.equal(proxy.keys[0], proxy.keys[1], 'with the same key')
      t.equal(mail.received.length - before, 1, 'one job, one mail')

      const refused = await run(command, { JOBGATE_URL: gateway.url, JOBGATE_KEY: 'jg_wrong_key' })
      t.not(refused.status, 0, 'gives up on a refusal')
      t.match(refused.err, /unauthorized/)
    })
  }
})
