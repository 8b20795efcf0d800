// What schemas of vendors share.

import { Type } from '@sinclair/typebox'

/** An id that a vendor issued. */
export const VendorId = Type.String({ pattern: '^[A-Za-z0-9_]{1,64}$', maxLength: 64 })
