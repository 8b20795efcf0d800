// What an operator sets for fetching from addresses in job data.

import { defineSettings } from '../config/config.js'
import { requirePort, toHostPorts } from '../config/setting-checks.js'
import { count, list } from '../config/variables.js'

const variables = {
  OUTBOUND_ALLOW_HOSTS: list(
    'Hosts that addresses in job data may point to, .example.com for a whole domain; empty allows every public host.',
  ),
  OUTBOUND_ALLOW_PORTS: list('Ports besides 80 and 443 that addresses in job data may name.'),
  OUTBOUND_ALLOW_PRIVATE_HOSTS: list(
    'host:port list that may be reached although private, by plain http too. For tests and demonstrations only.',
  ),
  OUTBOUND_MAX_REDIRECTS: count(3, 0, 10, 'Redirects that are followed while fetching.'),
}

/** The rules that such addresses are held to. */
export const outboundSettings = defineSettings(variables, (env) => ({
  /** Lower case; an entry that starts with a dot stands for a whole domain. */
  allowHosts: env.OUTBOUND_ALLOW_HOSTS.map((entry) => entry.trim().toLowerCase()),
  allowPorts: env.OUTBOUND_ALLOW_PORTS.map((entry) => requirePort('OUTBOUND_ALLOW_PORTS', entry)),
  allowPrivateHosts: toHostPorts('OUTBOUND_ALLOW_PRIVATE_HOSTS', env.OUTBOUND_ALLOW_PRIVATE_HOSTS),
  maxRedirects: env.OUTBOUND_MAX_REDIRECTS,
}))
export type OutboundSettings = ReturnType<typeof outboundSettings.toSettings>
