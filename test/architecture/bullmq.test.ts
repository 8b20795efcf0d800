// Holds BullMQ's key space together: only src/bullmq names its keys, and knows that a queue has partitions and how many.

import t from 'tap'
import { parseSource, readSource, type SourceFile } from '../helpers/source-files.js'

/** BullMQ's other doors: the worker, and the clock of schedules with its queue in partition 0. */
const doors = new Set(['attempts/in-process-worker.ts'])
const inside = (path: string): boolean => path.startsWith('bullmq/') || doors.has(path)

/** Files of BullMQ's key space and of partitions that others do not read. */
const closed = new Set(['bullmq/facts.ts', 'bullmq/queue-keys.ts'])

const keyNames =
  'dependencies|processed|failed|lock|logs|wait|paused|active|delayed|prioritized|completed|waiting-children|events|marker|meta|pc|repeat'
const bounds: readonly { readonly what: string; readonly text: RegExp }[] = [
  { what: "builds a name of BullMQ's keys", text: new RegExp(`(?<!node):(${keyNames})['\`]|\\brepeat:|createQueue(Keys|Places)\\b`) },
  { what: 'tells partitions apart', text: /\bpartitions?\.(all|number|tag)\b|\bpartitionOfJobId\b|\bpartitionsOf\b|createPartitions\b/ },
]

const faults = ({ path, text, imports }: SourceFile): string[] => {
  if (inside(path)) return []
  return [
    ...imports
      .filter(({ target }) => target !== null && closed.has(target))
      .map(({ line, target }) => `src/${path}:${line} imports ${target}`),
    ...text
      .split('\n')
      .flatMap((line, index) => bounds.filter((bound) => bound.text.test(line)).map(({ what }) => `src/${path}:${index + 1} ${what}`)),
  ]
}

t.test("only src/bullmq names BullMQ's keys and knows its partitions", async (t) => {
  t.same(readSource().flatMap(faults), [])
})

t.test('the check names what it finds', async (t) => {
  const bad = parseSource(
    'jobs/bad.ts',
    "import { marker } from '../bullmq/facts.js'\nconst key = job + ':lock'\nconst tick = 'repeat:x'\nfor (const each of partitions.all) {}\n",
  )
  t.same(faults(bad), [
    'src/jobs/bad.ts:1 imports bullmq/facts.ts',
    "src/jobs/bad.ts:2 builds a name of BullMQ's keys",
    "src/jobs/bad.ts:3 builds a name of BullMQ's keys",
    'src/jobs/bad.ts:4 tells partitions apart',
  ])
})
