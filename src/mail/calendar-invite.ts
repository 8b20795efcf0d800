// Writes the calendar part of a meeting invitation (RFC 5545, METHOD:REQUEST), which calendars offer to accept.

export interface CalendarInvite {
  /** With `sequence`, identifies one revision of one entry: sending it again changes nothing. */
  readonly uid: string
  readonly sequence: number
  /** Times in milliseconds since 1970. `createdAt` must not change between attempts. */
  readonly createdAt: number
  readonly start: number
  readonly end: number
  readonly title: string
  readonly description?: string | undefined
  readonly url?: string | undefined
  readonly organizer: { readonly name: string; readonly address: string }
  readonly attendee: string
}

/** An iCalendar object with CRLF line ends, no line longer than 75 octets. */
export const toCalendarInvite = (invite: CalendarInvite): string => {
  const description = [invite.description, invite.url].filter((part) => part !== undefined).join('\n\n')
  return [
    'BEGIN:VCALENDAR',
    'PRODID:-//Jobgate//Meeting invitation//EN',
    'VERSION:2.0',
    'CALSCALE:GREGORIAN',
    'METHOD:REQUEST',
    'BEGIN:VEVENT',
    `UID:${toText(invite.uid)}`,
    `SEQUENCE:${invite.sequence}`,
    `DTSTAMP:${toUtc(invite.createdAt)}`,
    `DTSTART:${toUtc(invite.start)}`,
    `DTEND:${toUtc(invite.end)}`,
    `SUMMARY:${toText(invite.title)}`,
    ...(description === '' ? [] : [`DESCRIPTION:${toText(description)}`]),
    ...(invite.url === undefined ? [] : [`LOCATION:${toText(invite.url)}`, `URL:${invite.url}`]),
    `ORGANIZER;CN=${toParameter(invite.organizer.name)}:${toMailto(invite.organizer.address)}`,
    `ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:${toMailto(invite.attendee)}`,
    'STATUS:CONFIRMED',
    'TRANSP:OPAQUE',
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ]
    .map(fold)
    .join('\r\n')
}

/** `20261201T090000Z`: seconds are the finest there is. */
const toUtc = (at: number): string =>
  new Date(at)
    .toISOString()
    .replace(/\.\d{3}/, '')
    .replace(/[-:]/g, '')

/** RFC 5545, section 3.3.11. Control characters have no place in a text. */
const toText = (text: string): string =>
  text
    .replace(/\\/g, '\\\\')
    .replace(/;/g, '\\;')
    .replace(/,/g, '\\,')
    .replace(/\r\n|\r|\n/g, '\\n')
    .replace(/\p{Cc}/gu, ' ')

/** A quoted parameter cannot hold a double quote (section 3.2), nor a line break. */
const toParameter = (text: string): string => `"${text.replace(/"/g, "'").replace(/\p{Cc}/gu, ' ')}"`

/** The characters of an addr-spec that a mailto address has to encode (RFC 6068). */
const toMailto = (address: string): string => `mailto:${address.replace(/[%?&#^`{|}/]/g, (character) => encodeURIComponent(character))}`

const octetsMax = 75

/** Long lines go on after CRLF and a space, which counts; a character is never torn apart (section 3.1). */
const fold = (line: string): string => {
  const lines: string[] = []
  let current = ''
  let octets = 0
  for (const character of line) {
    const size = Buffer.byteLength(character)
    if (octets + size > octetsMax) {
      lines.push(current)
      current = ' '
      octets = 1
    }
    current += character
    octets += size
  }
  return [...lines, current].join('\r\n')
}
