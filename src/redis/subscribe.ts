// Keeps a connection subscribed to a channel, through every reconnect.

import type { Logger } from 'pino'
import type { RedisClient } from './connect.js'

/**
 * Subscribes now and whenever `client` is reconnected; a refusal is logged with `consequence` and tried again then.
 * ioredis would resubscribe by itself, but a refusal (6.0: a rejection that nobody can catch) would end the process.
 * Messages of the time without a connection are lost. Returns the function that ends it; the connection stays open.
 */
export const keepSubscribed = (options: { client: RedisClient; channel: string; log: Logger; consequence: string }): (() => void) => {
  const { client, channel, log, consequence } = options
  let ended = false
  const subscribe = () => {
    client.subscribe(channel).catch((error: Error) => {
      if (!ended) log.warn({ error: error.message }, consequence)
    })
  }
  client.on('ready', subscribe)
  if (client.status === 'ready') subscribe()
  return () => {
    ended = true
    client.off('ready', subscribe)
  }
}
