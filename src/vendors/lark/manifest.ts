// What Lark brings to Jobgate: its settings, its job errors, its client and its events.

import { createLock } from '../../redis/lock.js'
import type { Opening } from '../../types/integration.js'
import { larkInbound } from './inbound.js'
import { larkErrors } from './job-errors.js'
import { larkSettings } from './settings.js'

export const lark = {
  settings: larkSettings,
  errors: larkErrors,
  integration: {
    name: 'lark',
    variable: 'LARK_APP_ID',
    async open({ config, store }: Opening<{ lark: ReturnType<typeof larkSettings.toSettings> }>) {
      const { api } = config.settings.lark
      return api && store && (await import('./lark.js')).openLark({ settings: api, ...store, lock: createLock(store) })
    },
  },
  inbound: larkInbound,
} as const
