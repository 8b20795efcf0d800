// Watches over the keys of requests that last, such as imports and event streams: they end soon after their key does.

import type { Principal, Verification } from './grants.js'
import { toKeyId } from './key-format.js'

/** Why a key no longer allows what was begun with it. `changed`: it has other rights by now. */
export type KeyEnd = 'expired' | 'refused' | 'changed'

/** One request's hold on its key. Release it when the request is over. */
export interface KeyHold {
  /** Null while the key holds. */
  readonly end: KeyEnd | null
  /** The key cannot be verified at the moment: what would store something has to wait. */
  readonly isUnsure: boolean
  release(): void
}

/** A key and the rights that it had, for all requests that were begun with just these. */
interface HeldKey {
  readonly sent: string
  readonly rights: string
  readonly listeners: Set<(end: KeyEnd) => void>
  end: KeyEnd | null
  isUnsure: boolean
}

/** How often held keys are to be looked at: with what `verify` remembers, a revocation whose message is lost is noticed within 4 s. */
export const lookEveryMs = 500

/**
 * One look for each key, however many requests hold it, and a look reads nothing that `verify` still remembers.
 * In: `verify`, which tells who calls with a key as sent.
 */
export const createKeyHolds = ({ verify }: { verify: (sent: string) => Verification | Promise<Verification> }) => {
  const held = new Map<string, HeldKey>()

  const finish = (key: HeldKey, end: KeyEnd): void => {
    if (key.end) return
    key.end = end
    held.delete(toName(key))
    for (const listener of key.listeners) listener(end)
  }

  const judge = (key: HeldKey, verification: Verification): void => {
    key.isUnsure = verification.kind === 'unavailable'
    if (verification.kind === 'expired' || verification.kind === 'refused') finish(key, verification.kind)
    if (verification.kind === 'valid' && toRights(verification.principal) !== key.rights) finish(key, 'changed')
  }

  const look = (key: HeldKey): void | Promise<void> => {
    const verification = verify(key.sent)
    return verification instanceof Promise ? verification.then((late) => judge(key, late)) : judge(key, verification)
  }

  const lookAtAll = async (keys: readonly HeldKey[]): Promise<void> => {
    await Promise.all(keys.map(look))
  }

  return {
    /** `sent` was verified just now, as `principal`. `onEnd` is called once when it no longer holds, and not before this returns. */
    hold(sent: string, principal: Principal, onEnd: (end: KeyEnd) => void): KeyHold {
      const rights = toRights(principal)
      const name = toName({ sent, rights })
      const key: HeldKey = held.get(name) ?? { sent, rights, listeners: new Set(), end: null, isUnsure: false }
      // A function of its own for each request, should two bring the same.
      const listener = (end: KeyEnd) => onEnd(end)
      key.listeners.add(listener)
      held.set(name, key)
      return {
        get end() {
          return key.end
        },
        get isUnsure() {
          return key.isUnsure
        },
        release() {
          key.listeners.delete(listener)
          if (key.listeners.size === 0 && held.get(name) === key) held.delete(name)
        },
      }
    },

    /** Looks at all held keys. */
    look: (): Promise<void> => lookAtAll([...held.values()]),

    /** Looks at the held keys of this id, which has changed. */
    lookAt: (id: string): Promise<void> => lookAtAll([...held.values()].filter(({ sent }) => toKeyId(sent) === id)),

    /** How many keys are held. */
    size: (): number => held.size,
  }
}

const known = new WeakMap<Principal, string>()

/** All that decides what a request may do. A key that was verified again is mostly the same object as before. */
const toRights = (principal: Principal): string => {
  const before = known.get(principal)
  if (before !== undefined) return before
  const { keyId, tenant, scopes, types, queues } = principal
  const rights = JSON.stringify([keyId, tenant, [...scopes].sort(), types && [...types].sort(), queues && [...queues].sort()])
  known.set(principal, rights)
  return rights
}

/** Whether both may do just the same. */
export const hasSameRights = (one: Principal, other: Principal): boolean => one === other || toRights(one) === toRights(other)

const toName = ({ sent, rights }: Pick<HeldKey, 'sent' | 'rights'>): string => `${sent} ${rights}`
