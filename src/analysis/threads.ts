// The few threads that transcripts are analyzed in: opened when first needed, kept, ended on abort and on close.

import { Worker } from 'node:worker_threads'

/** What became of one request. `crashed`: the thread died, out of memory or by a bug. */
export type ThreadOutcome<A> = { readonly kind: 'answered'; readonly answer: A } | { readonly kind: 'crashed'; readonly cause: Error }

interface Waiting {
  start(worker: Worker): void
  refuse(): void
}

/** V8's heap in a thread; jieba's dictionary and the likeness matrix lie outside of it. */
const heapMegabytes = 512

/**
 * Runs requests in at most `threads` worker threads, first come, first served.
 * `module` answers each message with one message.
 */
export const createThreads = <Q, A>({ module, threads, workerData }: { module: URL; threads: number; workerData: object }) => {
  const idle: Worker[] = []
  const all = new Set<Worker>()
  const queue: Waiting[] = []
  let closed = false

  const open = (): Worker => {
    const worker = startThread(module, workerData)
    // An error is always followed by `exit`; without a listener it would end the process.
    worker.on('error', () => undefined)
    worker.on('exit', () => {
      all.delete(worker)
      const at = idle.indexOf(worker)
      if (at >= 0) idle.splice(at, 1)
      serve()
    })
    all.add(worker)
    return worker
  }

  const serve = (): void => {
    while (!closed && queue.length > 0) {
      const worker = idle.pop() ?? (all.size < threads ? open() : undefined)
      if (!worker) return
      queue.shift()?.start(worker)
    }
  }

  const release = (worker: Worker): void => {
    if (!all.has(worker)) return
    idle.push(worker)
    serve()
  }

  return {
    /** Rejects with the signal's reason when it fires; a thread at work is ended then, and its place is free. */
    run: (request: Q, signal: AbortSignal): Promise<ThreadOutcome<A>> =>
      new Promise((resolve, reject) => {
        const refuse = (): void => reject(new Error('The analysis threads are closed'))
        if (closed) return refuse()
        if (signal.aborted) return reject(signal.reason)
        const waiting: Waiting = {
          refuse,
          start: (worker) => {
            signal.removeEventListener('abort', leave)
            ask<Q, A>(worker, request, signal)
              .then(resolve, reject)
              .finally(() => release(worker))
          },
        }
        const leave = (): void => {
          queue.splice(queue.indexOf(waiting), 1)
          reject(signal.reason)
        }
        signal.addEventListener('abort', leave, { once: true })
        queue.push(waiting)
        serve()
      }),

    /** Threads that are open now. */
    size: (): number => all.size,

    /** Ends every thread; what is under way ends as crashed, what waits is refused. Closing twice is harmless. */
    async close(): Promise<void> {
      closed = true
      for (const waiting of queue.splice(0)) waiting.refuse()
      await Promise.all([...all].map((worker) => worker.terminate()))
    },
  }
}

const ask = <Q, A>(worker: Worker, request: Q, signal: AbortSignal): Promise<ThreadOutcome<A>> =>
  new Promise((resolve, reject) => {
    let cause: Error | undefined
    const settle = (finish: () => void): void => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
      signal.removeEventListener('abort', onAbort)
      finish()
    }
    const onMessage = (answer: A): void => settle(() => resolve({ kind: 'answered', answer }))
    const onError = (error: Error): void => {
      cause = error
    }
    const onExit = (code: number): void =>
      settle(() =>
        signal.aborted
          ? reject(signal.reason)
          : resolve({ kind: 'crashed', cause: cause ?? new Error(`The analysis thread exited with code ${code}`) }),
      )
    // Rejects only once the thread is gone, so that nothing outlives the job.
    const onAbort = (): void => void worker.terminate()
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
    signal.addEventListener('abort', onAbort, { once: true })
    worker.postMessage(request)
  })

/** Threads on Node 20 do not inherit tsx, so one that runs from TypeScript sources registers it again. */
const bootstrap = `
const { workerData } = require('node:worker_threads')
import(workerData.tsx).then(({ register }) => {
  register()
  return import(workerData.module)
})`

const startThread = (module: URL, workerData: object): Worker => {
  const resourceLimits = { maxOldGenerationSizeMb: heapMegabytes }
  const underTsx = process.execArgv.some((argument) => argument.includes('tsx'))
  if (!module.pathname.endsWith('.ts') || !underTsx) return new Worker(module, { workerData, resourceLimits })
  const sources = { module: module.href, tsx: import.meta.resolve('tsx/esm/api') }
  return new Worker(bootstrap, { eval: true, execArgv: [], workerData: { ...workerData, ...sources }, resourceLimits })
}
