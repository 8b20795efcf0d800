// The frame of every page of ours that people read: no script, one style, nothing from elsewhere.

import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { addVary } from './headers/prefer.js'

const style = `
:root{color-scheme:light dark;--ink:#1d2330;--soft:#5b6475;--line:#dfe3ea;--paper:#fff;--tint:#f5f7fa;--accent:#2457c5;--on-accent:#fff;--good:#1a7f37;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf1;--soft:#a0a9b8;--line:#333b49;--paper:#14181f;--tint:#1c222c;--accent:#8ab0ff;--on-accent:#10141b;--good:#5fd07f;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:3rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:.25rem 0 1rem}
h2{font-size:1.15rem;margin:2.5rem 0 .75rem}
p{margin:.75rem 0}
a{color:var(--accent)}
a:focus-visible,button:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
code{background:var(--tint);border:1px solid var(--line);border-radius:4px;padding:.05em .35em;font:.9em ui-monospace,monospace}
.status{color:var(--soft);margin:0}
.state{display:inline-flex;align-items:center;gap:.6rem;margin:.5rem 0;padding:.35rem .9rem;border:1px solid var(--line);border-radius:999px;background:var(--tint)}
.state::before{content:"";width:.7rem;height:.7rem;border-radius:50%;background:var(--good)}
.state.bad::before{background:var(--bad)}
.links{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.75rem}
.links a{display:block;height:100%;padding:.75rem 1rem;border:1px solid var(--line);border-radius:8px;text-decoration:none}
.links a:hover{border-color:var(--accent);background:var(--tint)}
.links span{display:block;color:var(--soft);font-size:.9rem}
label{display:block;font-weight:600;margin:1.5rem 0 .35rem}
input{width:100%;padding:.6rem .75rem;border:1px solid var(--soft);border-radius:6px;background:var(--paper);color:var(--ink);font:1rem ui-monospace,monospace}
button{margin-top:1rem;padding:.6rem 1.4rem;border:0;border-radius:6px;background:var(--accent);color:var(--on-accent);font:600 1rem system-ui,sans-serif;cursor:pointer}
.fault{margin:1rem 0;padding:.6rem .9rem;border-left:4px solid var(--bad);background:var(--tint)}
.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.94rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}
dt{color:var(--soft);margin-top:1rem}
dd{margin:.15rem 0 0}
`

/** A sign of our own, so that browsers ask for none. */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%232457c5'/%3E%3Cpath d='M4 12V7a4 4 0 0 1 8 0v5M8 7v5' fill='none' stroke='%23fff' stroke-width='1.6'/%3E%3C/svg%3E"

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text as it may stand between tags and in quoted attributes. */
export const toHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] as string)

/** A whole page. `body` is HTML. */
export const renderPage = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${toHtml(title)}</title>
<link rel="icon" href="${icon}">
<style>${style}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`

/** Lets browsers apply the style above and load nothing else; forms go nowhere unless `formAction` says so. */
const toSecurityPolicy = (formAction: "'none'" | "'self'"): string =>
  `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; img-src data:; base-uri 'none'; form-action ${formAction}; frame-ancestors 'none'`

const policies = { "'none'": toSecurityPolicy("'none'"), "'self'": toSecurityPolicy("'self'") }

/** Whether HTML is what the client likes best; everything that does not ask for it gets JSON. */
export const wantsPage = (request: FastifyRequest, reply: FastifyReply): boolean => {
  addVary(reply, 'Accept')
  return request.type(['application/json', 'text/html']) === 'text/html'
}

/** Answers with a page. `hasForm`: it sends something to this gateway. */
export const sendPage = (reply: FastifyReply, html: string, { hasForm = false }: { hasForm?: boolean } = {}): FastifyReply =>
  reply
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', policies[hasForm ? "'self'" : "'none'"])
    // With `no-referrer` the browser would not say where a form comes from either.
    .header('referrer-policy', 'same-origin')
    .send(html)
