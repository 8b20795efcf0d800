// How V8 keeps what a process allocates, for processes that make and forget thousands of objects a second.

import { setFlagsFromString } from 'node:v8'

/**
 * Has every object begin in the young generation. V8 would put those of places whose objects have outlived a few collections straight
 * into the old one, which at the start of a server is true of many; there they stay, with all they refer to, until the whole heap is
 * collected. Call it before anything else is made. See docs/decisions/0013-every-object-begins-young.md.
 */
export const tuneHeap = (): void => setFlagsFromString('--no-allocation-site-pretenuring')
