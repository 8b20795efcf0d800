// Opens the outside systems that the configuration names; handlers find them in `ctx.integrations`.

import { closeOnFailure, createScope } from '../runtime/scope.js'
import type { Integration, Opening } from '../types/integration.js'
import type { BuiltinConfig } from './config.js'
import { type Manifests, manifests } from './manifests.js'

type Bringing = Extract<Manifests[keyof Manifests], { readonly integration: unknown }>['integration']
type Opened<T> = T extends { open(opening: never): Promise<infer O> } ? NonNullable<O> : never

/** What is configured in this process. A member is absent when its settings are. */
export type Integrations = { readonly [I in Bringing as I['name']]?: Opened<I> }

export type IntegrationName = keyof Integrations

const integrations = Object.values(manifests).flatMap((subject): Integration<BuiltinConfig['settings'], { close(): unknown }>[] =>
  'integration' in subject ? [subject.integration] : [],
)

/** The variable an operator has to set for each integration: named by the error `not_configured`. */
export const integrationVariables = Object.fromEntries(integrations.map(({ name, variable }) => [name, variable])) as Readonly<
  Record<IntegrationName, string>
>

/**
 * Opens what is configured; nothing is called yet.
 * Throws with one readable line when settings contradict each other or a template is broken, with nothing left open.
 */
export const openIntegrations = async (opening: Opening<BuiltinConfig['settings']>): Promise<Integrations & { close(): Promise<void> }> => {
  const scope = createScope()
  return closeOnFailure(scope, async () => {
    const opened: Record<string, unknown> = {}
    for (const { name, open } of integrations) {
      const integration = await scope.open(name, () => open(opening))
      if (integration) opened[name] = integration
    }
    return { ...(opened as Integrations), close: scope.close }
  })
}
