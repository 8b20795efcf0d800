// Holds the ways to Redis together: one way to call Lua, one file that bends ioredis.

import t from 'tap'
import { parseSource, readSource, type SourceFile } from '../helpers/source-files.js'

/** What may stand in one file only, and in which. */
const bounds: readonly { readonly what: string; readonly text: RegExp; readonly within: string }[] = [
  { what: 'calls Lua without defineScript', text: /\bdefineCommand\b|\.(eval|evalsha)\(|'(eval|evalsha)'/i, within: 'redis/script.ts' },
  {
    what: 'replaces a method of ioredis',
    text: /\.(toWritable|sendCommand|reject|exec|pipeline|multi) = |(Command|Redis|Cluster)\.prototype\b/,
    within: 'redis/ioredis-patches.ts',
  },
]

const boundFaults = ({ path, text }: SourceFile): string[] =>
  text
    .split('\n')
    .flatMap((line, index) =>
      bounds.filter((bound) => bound.within !== path && bound.text.test(line)).map(({ what }) => `src/${path}:${index + 1} ${what}`),
    )

/** A script that is given to Redis as it stands, and the comment before it. */
const script = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)?\n(?:export )?const (\w+Script) = `\n/g

const undocumented = ({ path, text }: SourceFile): string[] =>
  [...text.matchAll(script)]
    .filter(([, comment = '']) => !/KEYS:/.test(comment) || !/Returns /.test(comment))
    .map(([, , name]) => `src/${path} ${name} does not state KEYS and what it returns`)

const files = readSource()

t.test('Lua is called through defineScript, and ioredis is bent in one file', async (t) => {
  t.same(files.flatMap(boundFaults), [])
})

t.test('every script states its KEYS and what it returns', async (t) => {
  const scripts = files.flatMap(({ text }) => [...text.matchAll(script)])
  t.ok(scripts.length > 15, 'there are scripts to read')
  t.same(files.flatMap(undocumented), [])
})

t.test('the checks name what they find', async (t) => {
  const bad = parseSource(
    'jobs/bad.ts',
    "redis.defineCommand('x', {})\nawait redis.eval(lua, 1)\nclient.sendCommand = send\nconst sendScript = `\n`\n",
  )
  t.same(boundFaults(bad), [
    'src/jobs/bad.ts:1 calls Lua without defineScript',
    'src/jobs/bad.ts:2 calls Lua without defineScript',
    'src/jobs/bad.ts:3 replaces a method of ioredis',
  ])
  t.same(undocumented(bad), ['src/jobs/bad.ts sendScript does not state KEYS and what it returns'])
})
