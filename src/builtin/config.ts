// Reads the configuration with the settings of all subjects.

import { type Config, loadConfig, type SettingsOf } from '../config/config.js'
import { ClientEnvironment, Environment } from '../config/environment.js'
import { type Manifests, manifests } from './manifests.js'

type SettingsBySubject = { readonly [K in keyof Manifests]: Manifests[K]['settings'] }

export type BuiltinConfig = Config<SettingsOf<SettingsBySubject>>

const bySubject = Object.fromEntries(Object.entries(manifests).map(([name, { settings }]) => [name, settings])) as SettingsBySubject

/** As `loadConfig`, with the settings of every subject. */
export const loadBuiltinConfig = (env?: NodeJS.ProcessEnv, cwd?: string): BuiltinConfig => loadConfig(env, cwd, bySubject)

/** Every variable that Jobgate reads, by name, in the order of `.env.example`. */
export const allVariables = {
  ...Environment.properties,
  ...Object.assign({}, ...Object.values(bySubject).map(({ variables }) => variables)),
  ...ClientEnvironment.properties,
}
