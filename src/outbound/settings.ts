// What an operator sets for fetching from addresses in job data.

import { defineSettings } from '../config/config.js'
import { requirePort, toHostPorts } from '../config/setting-checks.js'
import { count, list } from '../config/variables.js'

const variables = {
  OUTBOUND_ALLOW_HOSTS: list(
    'Hosts that URLs in job data may point to; .example.com allows an entire domain. Empty allows every public host.',
  ),
  OUTBOUND_ALLOW_PORTS: list('Ports that URLs in job data may use, in addition to 80 and 443.'),
  OUTBOUND_ALLOW_PRIVATE_HOSTS: list(
    'Comma-separated host:port list of private hosts that may be reached, also over plain http. For tests and demos only.',
  ),
  OUTBOUND_MAX_REDIRECTS: count(3, 0, 10, 'Maximum number of redirects to follow while fetching.'),
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
