// Words that say nothing about a subject: grammar, politeness and the fillers of spoken language.

const toSet = (words: string): ReadonlySet<string> => new Set(words.split(/\s+/).filter((word) => word !== ''))

/** In lower case, with a straight apostrophe. */
export const enStopWords = toSet(`
  a about above actually after again against ago all alright already also although always am among an and another any
  anybody anyone anything anyway are aren't around as at away back basically be because been before being below
  between both but by bye came can can't cannot certainly come comes coming could couldn't did didn't do does
  doesn't doing don't done down during each either else enough etc even ever every everybody everyone everything
  exactly few fine first for from further gave get gets getting give given gives go goes going gone gonna good got
  great guess guys had hadn't has hasn't have haven't having he he'd he'll he's hello her here here's hers herself
  hey hi him himself his hm hmm how how's however i i'd i'll i'm i've if in indeed instead into is isn't it it'd
  it'll it's its itself just kind know knows last least less let let's like likely little look looking looks lot lots
  made make makes making many may maybe me mean means might mine mm more morning most much must my myself name
  need needs neither never new next no nobody none nor not nothing now of off often oh ok okay on once one ones
  only onto or other others otherwise our ours ourselves out over own part people perhaps please pretty probably put
  quite rather really right said same saw say saying says second see seems seen several shall she she'd she'll she's
  should shouldn't since so some somebody someone something sometimes soon sort still stuff such sure take taken takes
  taking talk tell than thank thanks that that'd that'll that's the their theirs them themselves then there there's
  therefore these they they'd they'll they're they've thing things think third this those though through thus to today
  monday tuesday wednesday thursday friday saturday sunday tomorrow tonight yesterday week month
  together told too took toward towards tried try trying two uh uhm um under until up upon us use used using usually
  very wanna want wanted wants was wasn't way we we'd we'll welcome we're we've well went were weren't what what's whatever
  when when's where where's whether which while who who's whole whom whose why why's will with within without won't
  would wouldn't yeah yep yes yet you you'd you'll you're you've your yours yourself yourselves
`)

export const zhStopWords = toSet(`
  一下 一个 一些 一会儿 一切 一定 一样 一点 一点儿 一直 一种 一般 一起 一边 一遍 一方面 上去 上来 上面 下去 下来 下面
  不仅 不会 不但 不光 不再 不到 不只 不可 不同 不如 不对 不得不 不必 不想 不是 不用 不管 不能 不行 不要 不论 不过 与其
  两个 个人 为了 为什么 为何 之一 之前 之后 之间 也就是 也就是说 也是 也许 了解 事情 于是 什么 什么样 今天 今年 他们 他的
  以上 以下 以前 以及 以后 以外 任何 任凭 似乎 但是 你们 你的 使得 例如 依据 便是 倘若 假如 做到 其中 其他 其它 其实
  其次 再说 再者 几个 几乎 凡是 出来 出去 分别 别人 别的 到底 刚才 刚刚 前后 前面 加上 包括 十分 即使 却是 原来 又是
  只是 只有 只能 只要 只见 可以 可是 可能 各个 各位 各种 各自 同时 同样 后来 后面 向着 否则 听到 听见 告诉 咱们 哎呀 哪些 哪个
  哪儿 哪里 哪怕 哈哈 啊呀 喂喂 嗯嗯 因为 因此 因而 固然 在于 基本 基本上 多少 大家 大概 大约 她们 她的 好像 好吧 好的 如下 如何
  如果 如此 它们 它的 完全 宁可 实在 实际上 对不对 对于 对吧 对方 将要 将会 就是 就是说 就要 尤其 尽管 差不多 已经 帮忙 并且 应当
  应该 开始 当时 当然 很多 得到 怎么 怎么样 怎样 总之 总的来说 意思 感觉 我们 我的 或者 或许 所以 所有 所谓 才能 打算 拜拜 按照
  据说 接下来 接着 整个 方面 无论 既然 时候 时间 明天 明白 昨天 是不是 是否 是的 显然 最后 最近 有些 有人 有关 有时 有时候 有点
  有的 有没有 本来 来说 来着 某些 某个 根据 样子 此外 正在 此时 每个 比如 比如说 比较 毕竟 没事 没有 没什么 然后 然而 照着
  特别 现在 甚至 甚至于 由于 的话 目前 直到 直接 相对 看到 看看 看见 真的 知道 确实 等等 简单 类似 经过 结果 继续 而且 而是 自己
  自从 至于 至少 莫非 虽然 虽说 行吧 要不 要不是 要不然 要么 要是 觉得 认为 讲讲 许多 设若 诸位 谁知 谢谢 起来 跟着 转过 辛苦 边上
  还是 还有 还要 这些 这个 这么 这样 这样子 这种 这边 这里 进行 进来 进去 通过 那些 那个 那么 那样 那种 那边 那里 部分 都是 鉴于
  除了 除此之外 随后 随着 需要 非常 顺便 首先 是吧 对对 对对对 没错 嗯哼 好好 可能会 来看 说说 想要 觉得是 就行 也可以 看一下
  说一下 一下子 东西 地方 今天下午 今天上午 下午 上午 早上 晚上 问题 下周 本周 上周 周一 周二 周三 周四 周五 周六 周日 星期一 星期二
  星期三 星期四 星期五 星期六 星期天 月底 之内 负责 跟进 麻烦
`)
