// What an attack is, and what it is given: a gateway to attack, and a place for what it finds.

import type { Client } from './client.js'
import type { Wire, WireOptions } from './wire.js'
import type { World, WorldSettings } from './world.js'

/** One line of the table. */
export interface Row {
  readonly id: string
  /** What is tried, for people. */
  readonly title: string
  /** Its number in the matrix of faults and attacks, where it has one. */
  readonly matrix?: number
  /** Part of the half that every change must pass: takes seconds, and judges no time that a busy machine would change. */
  readonly quick?: true
  /** A gateway with settings of its own, in place of the one that most rows share. */
  readonly gateway?: WorldSettings
  /** What it takes away from everybody while it lasts: the good client is only judged afterwards. */
  readonly disrupts?: true
  /** Resolves with its figure: a few words on what was seen. */
  run(attack: Attack): Promise<string>
}

export interface Attack {
  readonly world: World
  /** Whether this is the quick form. */
  readonly isQuick: boolean
  /** Counts what was tried. */
  tried(count?: number): void
  /** Writes down what does not hold; the row goes on. */
  check(what: string, holds: boolean): void
  /** A connection that is destroyed when the row ends. */
  open(options?: WireOptions): Wire
  /** Ordinary requests, over connections that are closed when the row ends. */
  readonly client: Client
  /** Undone when the row ends, the last first. */
  after(undo: () => unknown): void
}
