// The frame of every HTML e-mail and the pieces its templates are made of, as Handlebars partials.

/**
 * `layout` wraps a template (`{{#> layout}}…{{/layout}}`) and reads `locale`, `subject` and `footer`;
 * `button` takes `url` and `label`, `title` takes `text`, `code` and `prose` take `value`,
 * `fact` takes `name` and wraps the value as a row of a table.
 * Styles are inline and the structure is tables, since that is what mail programs render alike.
 */
export const htmlPartials: Readonly<Record<string, string>> = {
  layout: `<!doctype html>
<html lang="{{locale}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{{subject}}</title>
<style>
@media (max-width: 620px) { .card { padding: 24px 20px !important; } .page { padding: 12px !important; } }
@media (prefers-color-scheme: dark) {
  .page { background: #14171c !important; }
  .card { background: #1f242c !important; border-color: #323945 !important; }
  .card, .card h1, .card p, .card td { color: #e7eaf0 !important; }
  .code { background: #2a303a !important; color: #ffffff !important; }
  .muted, .card .muted { color: #9aa4b2 !important; }
  .plain { color: #8fb8ff !important; }
}
</style>
</head>
<body style="margin:0;padding:0;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="page" style="background:#f3f5f8;padding:32px 16px;">
<tr><td align="center">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;">
<tr><td class="card" style="background:#ffffff;border:1px solid #e2e6ec;border-radius:12px;padding:36px 40px;font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei',Helvetica,Arial,sans-serif;font-size:16px;line-height:1.6;color:#1c2430;">
{{> @partial-block}}
</td></tr>
<tr><td align="center" class="muted" style="padding:20px 16px;font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei',Helvetica,Arial,sans-serif;font-size:13px;line-height:1.5;color:#6b7686;">{{footer}}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
`,
  title: `<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3;font-weight:600;color:#1c2430;">{{text}}</h1>`,
  button: `<table role="presentation" cellpadding="0" cellspacing="0" style="margin:24px 0;">
<tr><td style="border-radius:8px;background:#2257d6;"><a href="{{url}}" style="display:inline-block;padding:12px 24px;font-size:16px;font-weight:600;color:#ffffff;text-decoration:none;border-radius:8px;">{{label}}</a></td></tr>
</table>
<p class="muted" style="margin:0 0 16px;font-size:13px;line-height:1.5;color:#6b7686;word-break:break-all;"><a class="plain" href="{{url}}" style="color:#2257d6;">{{url}}</a></p>`,
  code: `<p class="code" style="margin:24px 0;padding:16px;border-radius:8px;background:#f0f3f8;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:26px;letter-spacing:4px;text-align:center;word-break:break-all;color:#1c2430;">{{value}}</p>`,
  fact: `<tr><td class="muted" valign="top" style="padding:4px 16px 4px 0;white-space:nowrap;color:#6b7686;">{{name}}</td><td valign="top" style="padding:4px 0;">{{> @partial-block}}</td></tr>`,
  prose: `{{#each (paragraphs value)}}
<p style="margin:0 0 16px;">{{#each this}}{{this}}{{#unless @last}}<br>{{/unless}}{{/each}}</p>
{{/each}}`,
}

/** Closes a message that Jobgate sends by itself. */
export const footers = {
  en: 'This message was sent automatically.',
  zh: '此邮件由系统自动发送。',
} as const
