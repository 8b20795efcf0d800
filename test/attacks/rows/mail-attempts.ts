// What attackers would have an e-mail say, and to whom.

export const evil = 'evil@attacker.example'

export interface MailAttempt {
  readonly name: string
  readonly job: { readonly type: string; readonly data: object }
  /** It must not be accepted; otherwise it is sent, and the message is looked at. */
  readonly refused: boolean
}

/** Markup that must not be in a message as such. */
export const markup = [
  { name: 'a script', text: /<script/i },
  { name: 'an image of the attacker', text: /<img[^>]*src=.?x/i },
  { name: 'an event handler', text: /<[^>]*\sonerror=/i },
  { name: 'a script as link', text: /href=.?\s*javascript:/i },
  { name: 'a result of a template', text: /\b5929\b|\[object Object\]|function Object/ },
] as const

const to = 'reader@example.com'
const start = '2099-12-01T09:00:00.000Z'
const soon = () => new Date(Date.now() + 3_600_000).toISOString()
const code = { type: 'send-verification-email', data: { to, verificationCode: '123456' } }
const note = { type: 'send-notification-email', data: { to, subject: 'note', templateData: { body: 'note' } } }
const reset = { type: 'send-password-reset-email', data: { to, resetUrl: 'https://app.example.com/reset' } }
const invitation = {
  type: 'send-meeting-invitation',
  data: { to, meetingId: 'm-1', meetingTitle: 'meeting', meetingTime: start, organizerName: 'Ada' },
}
const reminder = {
  type: 'send-meeting-reminder',
  // Due at once.
  data: { to, meetingId: 'm-1', meetingTitle: 'meeting', meetingTime: soon(), remindBeforeMs: 7_200_000 },
}

type Job = MailAttempt['job']
const withData = (job: Job, more: object): Job => ({ ...job, data: { ...job.data, ...more } })

/** Members that hold one line of text, and the job that carries it there. */
const lines: readonly (readonly [string, (text: string) => Job])[] = [
  ['the name of a code', (name) => withData(code, { name })],
  ['the name of a reset', (name) => withData(reset, { name })],
  ['the subject of a note', (subject) => withData(note, { subject })],
  ['the title of an invitation', (meetingTitle) => withData(invitation, { meetingTitle })],
  ['the organizer of an invitation', (organizerName) => withData(invitation, { organizerName })],
  ['the title of a reminder', (meetingTitle) => withData(reminder, { meetingTitle })],
]
/** Members that hold text of many lines. */
const texts: readonly (readonly [string, (text: string) => Job])[] = [
  ['the body of a note', (body) => withData(note, { templateData: { body } })],
  ['the agenda of an invitation', (agenda) => withData(invitation, { agenda })],
]

const breaks = [`x\r\nBcc: ${evil}`, `x\nBcc: ${evil}`, `x\rBcc: ${evil}`, `x\r\n\r\n<script>1</script>`, `x\0y`, `x\x0by`]
/** On one line as far as our schema goes, and more for some readers. */
const oneLiners = [
  `x\u2028Bcc: ${evil}`,
  `x\u0085Bcc: ${evil}`,
  `=?utf-8?B?${Buffer.from(`x\r\nBcc: ${evil}`).toString('base64')}?=`,
  `=?utf-8?Q?x=0D=0ABcc:_${evil}?=`,
  `x" <${evil}>, "y`,
  `x <${evil}>`,
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'><a href=javascript:alert(1)>x</a>",
  '{{77}}{{{77}}}{{multiply 77 77}}',
  '{{constructor.constructor "return 77*77"}}',
  '{{#with "s" as |string|}}{{#with "e"}}{{lookup string.sub "constructor"}}{{/with}}{{/with}}',
  '{{lookup (lookup this "constructor") "name"}}',
  '{{> layout}}{{{body}}}',
  ['<%= 77*77 %>', '$', '{77*77}#{77*77}'].join(''),
]
const calendar = [
  `x\r\nATTENDEE:mailto:${evil}`,
  `x\nEND:VEVENT\nBEGIN:VEVENT\nORGANIZER:mailto:${evil}`,
  `x\\nATTENDEE:mailto:${evil}`,
  `x;ATTENDEE="mailto:${evil}"`,
]
const addresses = [
  `${to}, ${evil}`,
  `${to};${evil}`,
  `${to}\r\nBcc: ${evil}`,
  `${to}\nRCPT TO:<${evil}>`,
  `${to} ${evil}`,
  `<${to}>`,
  `x <${evil}>`,
  `"${evil}"<${to}`,
  'a@b@example.com',
  '@example.com',
  'a@',
  'a',
  `${'a'.repeat(300)}@example.com`,
  'a\0@example.com',
]
const links = [
  'javascript:alert(1)',
  'data:text/html,<script>1</script>',
  'https://user:secret@example.com/',
  'https://exa mple.com/',
  '//example.com',
  `https://example.com/\r\nBcc: ${evil}`,
  'vbscript:x',
  'file:///etc/passwd',
]

const refuse = (name: string, job: Job): MailAttempt => ({ name, job, refused: true })
const send = (name: string, job: Job): MailAttempt => ({ name, job, refused: false })

export const mailAttempts: readonly MailAttempt[] = [
  ...lines.flatMap(([name, job]) => [
    ...breaks.map((text) => refuse(`${name}: ${JSON.stringify(text)}`, job(text))),
    ...oneLiners.map((text) => send(`${name}: ${JSON.stringify(text)}`, job(text))),
  ]),
  ...texts.flatMap(([name, job]) => [...oneLiners, ...calendar].map((text) => send(`${name}: ${JSON.stringify(text)}`, job(text)))),
  ...addresses.flatMap((address) => [
    refuse(`to ${JSON.stringify(address)}`, withData(code, { to: address })),
    refuse(`among others to ${JSON.stringify(address)}`, withData(note, { to: [to, address] })),
    refuse(`organized by ${JSON.stringify(address)}`, withData(invitation, { organizerEmail: address })),
  ]),
  ...links.flatMap((link) => [
    refuse(`a reset at ${JSON.stringify(link)}`, withData(reset, { resetUrl: link })),
    refuse(`a meeting at ${JSON.stringify(link)}`, withData(invitation, { meetingUrl: link })),
    refuse(`an action at ${JSON.stringify(link)}`, withData(note, { templateData: { body: 'x', actionUrl: link } })),
  ]),
  ...['../../etc/passwd', '..', '__proto__', 'constructor', 'layout', 'verification', '/etc/passwd', 'none'].map((template) =>
    refuse(`the template ${template}`, withData(note, { template })),
  ),
  refuse('members of a template with the name of a prototype', withData(note, { templateData: { body: 'x', hasOwnProperty: 1 } })),
  refuse('a template that is an object', withData(note, { templateData: { body: { toString: 'x' } } })),
]
