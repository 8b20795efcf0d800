// The vendors that may call in, ready to check what they send.

import type { InboundSource } from '../vendors/inbound.js'
import type { BuiltinConfig } from './config.js'
import type { VerifiedWebhook } from './external/process-webhook.js'
import { manifests } from './manifests.js'

/** One entry a vendor; `callback` is undefined when its settings are absent. */
export const openInboundSources = ({ settings }: BuiltinConfig) =>
  Object.entries(manifests).flatMap(([name, subject]) => {
    if (!('inbound' in subject)) return []
    const { open, routes, source, variable } = subject.inbound as InboundSource<unknown, unknown>
    const callback = open(settings[name as keyof typeof settings])
    return [{ source: source as VerifiedWebhook['source'], variable, callback, routes }]
  })
