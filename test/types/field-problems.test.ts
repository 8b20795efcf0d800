import { Type } from '@sinclair/typebox'
import t from 'tap'
import { MeetingId } from '../../src/builtin/meeting/meeting-id.js'
import { EmailAddress } from '../../src/mail/schema.js'
import { openMailTemplates } from '../../src/mail/templates/templates.js'
import { type SchemaError, toFieldProblems } from '../../src/types/field-problems.js'
import { Line, Link, Time } from '../../src/types/schema-parts.js'
import { validatorCompilers } from '../../src/types/validator.js'

const validate = validatorCompilers({})({
  httpPart: 'body',
  schema: Type.Object({
    to: EmailAddress,
    subject: Line(20),
    link: Link(),
    meetingId: MeetingId,
    at: Time(),
    code: Type.String({ pattern: '^[a-z]{3}$' }),
  }),
})
const fits = {
  to: 'a@example.com',
  subject: 'x',
  link: 'https://example.com',
  meetingId: 'm',
  at: '2026-12-01T09:00:00Z',
  code: 'abc',
}

const detailsOf = (change: object) => {
  t.equal(validate({ ...fits, ...change }), false)
  return toFieldProblems(validate.errors as unknown as SchemaError[]).map(({ pointer, detail }) => `${pointer} ${detail}`)
}

t.test('what a text lacks is said in words', async (t) => {
  t.same(detailsOf({ to: 'a@example.com,b@example.com' }), ['#/to must be one e-mail address without a display name'])
  t.same(detailsOf({ subject: 'a\nb' }), ['#/subject must be a single line without control characters'])
  t.match(detailsOf({ link: 'javascript:alert(1)' }), [/^#\/link must be an http or https URL/])
  t.match(detailsOf({ meetingId: '../x' }), [/^#\/meetingId must consist of letters/])
  for (const at of ['tomorrow', '2026-02-30T00:00:00.000Z'])
    t.same(detailsOf({ at }), ['#/at must be a date-time with an offset, such as 2026-12-01T09:00:00.000Z'])
  t.match(detailsOf({ code: 'ABC' }), [/^#\/code must match pattern/])
})

t.test('and the same in the data of e-mail templates', async (t) => {
  const [problem] = openMailTemplates(undefined).notificationProblems('notification', { body: 'x', actionUrl: 'javascript:alert(1)' })
  t.match(problem, { pointer: '#/data/templateData/actionUrl', detail: /^must be an http or https URL/ })
})
