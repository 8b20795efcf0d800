// Sentences that sound like something to be done, found by patterns in English and Chinese; a heuristic, and labelled as one.

import type { Sentence } from './sentences.js'
import type { Language } from './sentiment.js'

export interface ActionItem {
  readonly text: string
  readonly index: number
  /** Which pattern matched. */
  readonly rule: string
  readonly heuristic: true
}

interface Rule {
  readonly name: string
  readonly language: 'zh' | 'en'
  readonly pattern: RegExp
}

export const actionItemsMax = 200

const enDone = /\b(?:already|have been|has been|was|were) (?:done|finished|completed|sent|fixed|shipped)\b/i
const zhDone = /(?:已经|早就)[^，。]{0,12}(?:了|过|完|好)|(?:完成|处理|解决|修复|提交)(?:好)?了/

const enVerb =
  '(?:add|arrange|ask|book|build|call|check|clean|close|collect|complete|confirm|contact|coordinate|create|decide|define|deliver|deploy|design|document|draft|email|finali[sz]e|find|finish|fix|follow|get|give|handle|implement|investigate|invite|look into|measure|merge|migrate|move|notify|order|organi[sz]e|own|plan|prepare|present|publish|push|reach out|release|remove|replace|report|research|review|roll|run|schedule|send|set up|share|ship|sign|submit|summari[sz]e|talk to|take care|take|test|update|upgrade|upload|verify|work on|write)'
const zhVerb =
  '(?:安排|更新|对接|发给|发送|发布|发出|发一|发邮件|负责|跟进|跟踪|处理|完成|准备|提供|确认|整理|提交|落实|推进|修复|修改|检查|测试|联系|沟通|汇总|输出|上线|部署|迁移|评审|编写|写|拉会|通知|协调|排查|调研|补充|预约|约|做)'
const enDay =
  '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|tonight|noon|eod|eow|(?:the )?end of|next (?:week|month)|\\d)'

/** The first that matches names the item. */
const rules: readonly Rule[] = [
  {
    name: 'en-label',
    language: 'en',
    pattern: /\b(?:action items?|action points?|to-?dos?|follow[- ]?ups?|next steps?)\b\s{0,3}(?:for \w{1,30}\s{0,3})?[:：-]/i,
  },
  { name: 'zh-label', language: 'zh', pattern: /(?:待办|行动项|待跟进|后续事项|遗留事项)(?:事项)?\s{0,3}[:：]/ },
  { name: 'zh-assignment', language: 'zh', pattern: new RegExp(`(?:由|让|请|麻烦|交给|辛苦)[^，。？！]{1,15}?${zhVerb}`) },
  { name: 'zh-owner', language: 'zh', pattern: /(?:负责|跟进)(?!人|制|了)[^，。？！]{1,}|[^，。？！]{1,}(?:来跟进|去跟进|来负责)/ },
  {
    name: 'zh-deadline',
    language: 'zh',
    pattern: new RegExp(
      `(?:今天|明天|后天|[本这下]周[一二三四五六日天末]?|周[一二三四五六日天]|月底|下个?月|\\d{1,2}[日号])[^，。？！]{0,8}(?:前|内|给)[^。？！]{0,20}?${zhVerb}`,
    ),
  },
  {
    name: 'zh-commitment',
    language: 'zh',
    pattern: new RegExp(`(?:我|我们|我这边|咱们)(?:来|会|去|要|明天|今天|下周|尽快|稍后|回头|会后)[^，。？！]{0,10}?${zhVerb}`),
  },
  {
    name: 'en-request',
    language: 'en',
    pattern: new RegExp(`\\b(?:(?:can|could|would|will) (?:you|\\w{2,20})|please)(?: please| also)? ${enVerb}\\b`, 'i'),
  },
  { name: 'en-deadline', language: 'en', pattern: new RegExp(`\\b${enVerb}\\b.{0,120}\\b(?:by|before|until|no later than) ${enDay}`, 'i') },
  {
    name: 'en-commitment',
    language: 'en',
    pattern: new RegExp(
      `\\b(?:I|we)(?:['’]ll| will| am going to|['’]m going to| are going to|['’]re going to| need to| have to| must)(?: also| then)? ${enVerb}\\b`,
      'i',
    ),
  },
  {
    name: 'en-assignment',
    language: 'en',
    pattern: new RegExp(
      `\\b(?:[A-Z]\\w{1,30}|you|he|she|they|someone)(?:['’]ll| will| needs? to| has to| have to| must| should| is going to)(?: also| then)? ${enVerb}\\b`,
    ),
  },
  {
    name: 'en-owner',
    language: 'en',
    pattern: /\b(?:[A-Z]\w{1,30}|you|I|he|she|they) (?:is|are|am|will be) responsible for\b|\bassigned to [A-Z]\w/,
  },
]

/** At most 200, in the order of the transcript. */
export const toActionItems = (sentences: readonly Sentence[], language: Language): ActionItem[] => {
  const used = rules.filter((rule) => language === 'both' || rule.language === language)
  const items: ActionItem[] = []
  for (const { index, text } of sentences) {
    if (items.length === actionItemsMax) break
    if (enDone.test(text) || zhDone.test(text)) continue
    const rule = used.find(({ pattern }) => pattern.test(text))
    if (rule) items.push({ text, index, rule: rule.name, heuristic: true })
  }
  return items
}
