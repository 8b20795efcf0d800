// What a command that talks to a gateway is made of, and the tools it gets.

import type { Answer, Client, Failure } from './client.js'
import { exitCodes } from './exit-codes.js'

/** The ends of the process that a command may touch. */
export interface Terminal {
  /** Writes text, line break included, to standard output. */
  out(text: string): void
  /** Writes text as it is to standard error. */
  err(text: string): void
  /** Whether standard error is a terminal: only there progress is drawn. */
  readonly isInteractive: boolean
  /** All of standard input. */
  stdin(): Promise<string>
}

export interface Tools {
  readonly client: Client
  readonly terminal: Terminal
  /** Whether programs read along: JSON instead of tables. */
  readonly json: boolean
}

type Values = Readonly<Record<string, string | boolean | undefined>>

/** The arguments do not make sense; `detail` says which and why. */
export interface WrongUsage {
  readonly kind: 'usage'
  readonly detail: string
}

export interface ClientCommand {
  /** One line for the list of commands. */
  readonly summary: string
  /** Lines after `Usage:`, each a way to call it. */
  readonly usage: readonly string[]
  /** What each option means, for `--help`. */
  readonly options: Readonly<Record<string, { readonly type: 'string' | 'boolean'; readonly description: string }>>
  /** How many arguments it takes besides options, at least and at most. */
  readonly takes: readonly [number, number]
  /** Out: the exit code. */
  run(args: readonly string[], values: Values, tools: Tools): Promise<number | WrongUsage>
}

export const wrongUsage = (detail: string): WrongUsage => ({ kind: 'usage', detail })

export const isWrongUsage = (value: unknown): value is WrongUsage => (value as WrongUsage | null)?.kind === 'usage'

/** The text that an option was given; undefined without one. */
export const textOf = (values: Values, name: string): string | undefined => {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** The whole number that an option was given; its bounds are the gateway's to check. */
export const numberOf = (values: Values, name: string): number | undefined | WrongUsage => {
  const text = textOf(values, name)
  if (text === undefined) return undefined
  return /^\d{1,15}$/.test(text) ? Number(text) : wrongUsage(`--${name} must be a whole number.`)
}

/** Says what went wrong on standard error, as JSON for programs. Out: the exit code. */
export const reportFailure = ({ terminal, json }: Tools, { text, problem, exitCode }: Failure): number => {
  terminal.err(`${json ? JSON.stringify(problem) : `jobgate: ${text}`}\n`)
  return exitCode
}

/** Shows an answer: its body as JSON for programs, what `toText` makes of it for people. Out: the exit code. */
export const reportAnswer = <T>(tools: Tools, answer: Answer, toText: (body: T) => string): number => {
  if (answer.kind === 'failure') return reportFailure(tools, answer)
  tools.terminal.out(tools.json ? JSON.stringify(answer.body) : toText(answer.body as T))
  return exitCodes.ok
}
