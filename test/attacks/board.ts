// The dashboard as a browser talks to it: a login form, a cookie, and headers that tell where a request comes from.

import type { Answer, Client } from './client.js'

export const cookieName = 'jobgate_board'

const formType = 'application/x-www-form-urlencoded'
/** What a browser says of a form on our own page. */
export const ownPage = { 'sec-fetch-site': 'same-origin' }

/** Sends the login form. */
export const login = (
  client: Client,
  key: string,
  headers: Readonly<Record<string, string>> = ownPage,
  to = '/admin/board',
): Promise<Answer> =>
  client.send({
    method: 'POST',
    path: '/admin/board/login',
    body: new URLSearchParams({ key, to }).toString(),
    headers: { 'content-type': formType, ...headers },
  })

/** The token that an answer sets; undefined without one. */
export const tokenOf = ({ headers }: Answer): string | undefined =>
  new RegExp(`^${cookieName}=([^;]+)`).exec([headers['set-cookie'] ?? ''].flat().join('\n'))?.[1]

export const cookie = (token: string): Record<string, string> => ({ cookie: `${cookieName}=${token}` })

/** A session of this key; throws when there is none. */
export const signIn = async (client: Client, key: string): Promise<string> => {
  const answer = await login(client, key)
  const token = tokenOf(answer)
  if (answer.status !== 303 || token === undefined) throw new Error(`the login got ${answer.status}`)
  return token
}

/** Whether this session is let in, to what is behind every page. */
export const isSignedIn = async (client: Client, token: string): Promise<boolean> => {
  const { status } = await client.send({ path: '/admin/board/api/queues', headers: cookie(token) })
  return status === 200
}
