// Reads an event stream as a client does.

export interface SeenEvent {
  id: string
  event: string
  data: Record<string, unknown>
}

/** All events of a stream's text. */
export const parseSse = (text: string): SeenEvent[] =>
  text
    .split('\n\n')
    .filter((block) => /^event:/m.test(block))
    .map((block) => ({
      id: /^id: ?(.*)$/m.exec(block)?.[1] ?? '',
      event: /^event: ?(.*)$/m.exec(block)?.[1] ?? '',
      data: JSON.parse(/^data: ?(.*)$/m.exec(block)?.[1] ?? 'null'),
    }))
