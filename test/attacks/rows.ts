// All attacks, in the order of the table.

import type { Row } from './row.js'
import { boardCsrf } from './rows/board-csrf.js'
import { boardSession } from './rows/board-session.js'
import { boardXss } from './rows/board-xss.js'
import { callbacks } from './rows/callbacks.js'
import { canaries } from './rows/canaries.js'
import { manyConnections } from './rows/connections.js'
import { descriptors } from './rows/descriptors.js'
import { guessing } from './rows/guessing.js'
import { headersRow } from './rows/headers.js'
import { idsRow } from './rows/ids.js'
import { jsonBombRow } from './rows/json-bombs.js'
import { logs } from './rows/logs.js'
import { mail } from './rows/mail.js'
import { ndjsonBombs } from './rows/ndjson-bombs.js'
import { ownTypes } from './rows/own-types.js'
import { paths } from './rows/paths.js'
import { pipelinedRead } from './rows/pipelined-read.js'
import { pipelinedStatic } from './rows/pipelined-static.js'
import { pipelinedStreams } from './rows/pipelined-streams.js'
import { revoked } from './rows/revoked.js'
import { scopes } from './rows/scopes.js'
import { slowReaders } from './rows/slow-readers.js'
import { slowWriters } from './rows/slow-writers.js'
import { smuggling } from './rows/smuggling.js'
import { ssrf } from './rows/ssrf.js'
import { tenantsRow } from './rows/tenants.js'
import { timing } from './rows/timing.js'

export const rows: readonly Row[] = [
  smuggling,
  pipelinedRead,
  pipelinedStatic,
  pipelinedStreams,
  slowWriters,
  slowReaders,
  manyConnections,
  descriptors,
  jsonBombRow,
  ndjsonBombs,
  idsRow,
  paths,
  headersRow,
  logs,
  mail,
  ssrf,
  callbacks,
  guessing,
  scopes,
  ownTypes,
  tenantsRow,
  timing,
  revoked,
  boardCsrf,
  boardSession,
  boardXss,
  canaries,
]
